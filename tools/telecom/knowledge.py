"""The knowledge base, searched in full text."""

from __future__ import annotations

import re
from typing import Annotated

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from sqlalchemy import select, text

from tools.telecom import schema
from tools.telecom.call import Answer, Call, reads

MOST_WORDS = 16
#: "high" also finds "higher"; "sim" must not find "simple".
SHORTEST_BEGINNING = 4
#: Words of a question that say nothing about its subject.
EMPTY_WORDS = frozenset(
    "a an and are as at be can could de der die das do does ein eine for from have how i ich if in is ist it me mein "  # noqa: SIM905 (a list has sixty lines)
    "meine my of on or please so the to und was we what when where which who why wie will with you your".split()
)
#: bm25 weights of title, text and topic: a word in the title says what the article is about.
_SEARCH = text(
    """
    SELECT a.article_id, a.title, snippet(article_search, 1, '', '', ' … ', 24) AS snippet, a.topic, a.language
    FROM article_search JOIN articles a USING (article_id)
    WHERE article_search MATCH :match
    ORDER BY bm25(article_search, 6.0, 1.0, 3.0), a.article_id
    LIMIT :limit
    """
)


async def search_knowledge(
    call: Call,
    query: Annotated[str, Field(max_length=400, description="The question, or a few words of it.")],
    limit: Annotated[int, Field(ge=1, le=10)] = 5,
) -> Answer:
    """Search the help articles: coverage, roaming, eSIM, bills, contracts, numbers, devices, safety. Answer questions
    about how things work from here, and read the whole text with get_article."""
    match = match_any(query)
    if not match:
        return {"results": []}
    found = await call.db.execute(_SEARCH, {"match": match, "limit": limit})
    return {"results": [dict(row) for row in found.mappings()]}


async def get_article(
    call: Call, article_id: Annotated[str, Field(max_length=80, description="From search_knowledge.")]
) -> Answer:
    """The whole text of a help article."""
    found = await call.rows(select(schema.articles).where(schema.articles.c.article_id == article_id))
    if not found:
        raise ToolError("There is no such article. search_knowledge finds the articles.")
    return found[0]


def match_any(query: str) -> str:
    """The query as quoted beginnings of words, of which any may occur; quoted, nothing in it is full-text syntax."""
    said = re.findall(r"\w+", query.lower())
    telling = [word for word in said if word not in EMPTY_WORDS][:MOST_WORDS]
    return " OR ".join(f'"{word}"*' if len(word) >= SHORTEST_BEGINNING else f'"{word}"' for word in telling)


TOOLS = (reads(search_knowledge), reads(get_article))
