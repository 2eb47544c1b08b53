"""The state of the workspace: entities, changes, clock, streams and views."""
