"""Damaged and hostile files: each is refused in one line, or read; nothing hangs or crashes."""
