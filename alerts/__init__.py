"""Tele-alert: one incident per cause, who must know of it, and the notifications that go out."""
