"""The web page of the workspace, its event stream and uploads."""
