"""The Python client of the API: `api.ApiClient`, which raises `errors.ApiError`.

The package itself imports nothing: the HTTP library takes 13 MiB, which the gateway process does not need.
"""
