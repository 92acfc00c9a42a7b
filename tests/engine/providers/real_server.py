"""A real inference server for tests: llama.cpp over HTTP in a child process, which ends when its stdin does.

Run as `python real_server.py MODEL.gguf`; prints its address.
"""

from __future__ import annotations

import sys

ALIAS = "smollm2"


def main(path: str) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {ALIAS}
    params.n_ctx, params.n_parallel = 2048, 2
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.verbosity = -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.endpoint_slots = True
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
