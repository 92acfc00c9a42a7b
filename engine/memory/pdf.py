"""The text of a PDF, page by page."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.memory.extract import Text


def pages(data: bytes) -> Text:
    """Raises ValueError in one line: broken, locked with a password, or without any text (a scan)."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    from engine.memory.extract import Section, Text

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    found = Text()
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ValueError("locked with a password; save it without one")
        if reader.metadata and reader.metadata.title:
            found.title = " ".join(str(reader.metadata.title).split())[:200]
        for number, page in enumerate(reader.pages, 1):
            text = page.extract_text()
            if text.strip():
                found.sections.append(Section(f"page {number}", text))
    except (MemoryError, RecursionError):
        raise
    except PyPdfError as error:
        raise ValueError(f"not a readable PDF: {error}") from None
    except Exception as error:  # a broken PDF makes pypdf raise nearly anything
        raise ValueError(f"not a readable PDF: {type(error).__name__}: {error}") from None
    if not found.sections:
        raise ValueError("a PDF without text (a scan?); run it through OCR first")
    return found
