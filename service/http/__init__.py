"""What every route shares: request bodies, problems, the OpenAPI document, middleware."""
