"""Buttons, menus, forms and shortcuts of users, and the answers to them."""
