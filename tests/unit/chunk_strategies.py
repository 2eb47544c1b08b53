"""Texts as a model says them: in pieces that end anywhere."""

from __future__ import annotations

from hypothesis import strategies as st


@st.composite
def in_chunks(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> list[str]:
    """One of `texts` in arbitrary pieces."""
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
