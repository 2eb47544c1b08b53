"""The Web API: arguments, methods and the HTTP server for them."""
