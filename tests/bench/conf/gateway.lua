-- The gateway's configuration in the bench: defaults, and one client header for route(req).
return {
    route_headers = { "x-team" },
}
