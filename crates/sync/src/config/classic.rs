//! The classic `auth` and `images` files, as written and as meant (compat.md sections 2 and 3).
