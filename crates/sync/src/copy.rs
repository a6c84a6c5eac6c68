//! The loop for one image: compare, transfer, commit, and again if a fact was wrong.
