"""Who answers: one adapter per kind of provider, and what all calls share (retries, rates, prices, leases).

Adapters import their SDK only when they are used; `registry.open_adapter` finds them by the endpoint's name in
`config/providers.yml` or the user's `providers.yml`.
"""
