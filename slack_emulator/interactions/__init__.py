"""Buttons, menus, modals and shortcuts of users, and the app's responses to them."""
