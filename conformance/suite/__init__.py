"""The run against an endpoint: one pytest item per requirement, and the campaign behind it."""
