"""LangGraph with its SQLite or PostgreSQL checkpointer, ``durability="sync"``; prints figures as JSON."""

from __future__ import annotations

import json
import operator
import os
import sqlite3
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import Annotated, Any, TypedDict

import paid
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt


class State(TypedDict):
    n: int
    stop: int
    items: Annotated[list, operator.add]


@contextmanager
def checkpointer(url: str):
    if url.startswith("postgres"):
        from langgraph.checkpoint.postgres import PostgresSaver

        with PostgresSaver.from_conn_string(url) as saver:
            saver.setup()
            yield saver
    else:
        from langgraph.checkpoint.sqlite import SqliteSaver

        connection = sqlite3.connect(url, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        saver = SqliteSaver(connection)
        saver.setup()
        yield saver
        connection.close()


def loop_graph(saver: Any, body=lambda state: {"n": state["n"] + 1}):
    builder = StateGraph(State)
    builder.add_node("step", body)
    builder.add_edge(START, "step")
    builder.add_conditional_edges("step", lambda state: END if state["n"] >= state["stop"] else "step")
    return builder.compile(checkpointer=saver)


def config(thread: str, steps: int) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread}, "recursion_limit": steps + 10}


def per_step(saver: Any, steps: int) -> float:
    graph = loop_graph(saver)
    start = time.perf_counter()
    graph.invoke({"n": 0, "stop": steps, "items": []}, config("steps", steps), durability="sync")
    return (time.perf_counter() - start) / steps * 1000


def fan_out(saver: Any, width: int) -> float:
    builder = StateGraph(State)
    builder.add_node("split", lambda state: {})
    builder.add_node("one", lambda state: {"items": [state["n"]]})
    builder.add_edge(START, "split")
    builder.add_conditional_edges("split", lambda state: [Send("one", {"n": n}) for n in range(width)], ["one"])
    builder.add_edge("one", END)
    graph = builder.compile(checkpointer=saver)
    start = time.perf_counter()
    result = graph.invoke({"n": 0, "stop": 0, "items": []}, config("fan", width), durability="sync")
    assert len(result["items"]) == width
    return time.perf_counter() - start


def resume(saver: Any, steps: int) -> float:
    def body(state: State) -> dict[str, Any]:
        if state["n"] == steps:
            interrupt("wait")
        return {"n": state["n"] + 1}

    graph = loop_graph(saver, body)
    where = config(f"resume-{steps}", steps)
    graph.invoke({"n": 0, "stop": steps + 1, "items": []}, where, durability="sync")
    start = time.perf_counter()
    result = loop_graph(saver, body).invoke(Command(resume=True), where, durability="sync")
    assert result["n"] == steps + 1
    return (time.perf_counter() - start) * 1000


def store(saver: Any, count: int) -> None:
    graph = loop_graph(saver, lambda state: {"n": state["n"] + 1, "items": [f"{state['n']:04d}" + "x" * 1020]})
    graph.invoke({"n": 0, "stop": count, "items": []}, config("store", count), durability="sync")


def size_of(url: str) -> int:
    if url.startswith("postgres"):
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute("SELECT pg_database_size(current_database())").fetchone()[0]
    with sqlite3.connect(url) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return os.path.getsize(url)


def survive(url: str, width: int) -> None:
    """Start the fan-out, or go on with it after a kill; ends with it."""
    with checkpointer(url) as saver:
        builder = StateGraph(State)
        builder.add_node("split", lambda state: {})
        builder.add_node("buy", lambda state: {"items": [paid.completion(state["n"])]})
        builder.add_edge(START, "split")
        builder.add_conditional_edges("split", lambda state: [Send("buy", {"n": n}) for n in range(width)], ["buy"])
        builder.add_edge("buy", END)
        graph = builder.compile(checkpointer=saver)
        where = {**config("kills", width), "max_concurrency": 10}
        begun = saver.get_tuple(where) is not None
        result = graph.invoke(None if begun else {"n": 0, "stop": 0, "items": []}, where, durability="sync")
        assert len(result["items"]) == width


def waiting(saver: Any, url: str, count: int) -> float:
    """Bytes of database for one thread that waits for a person, over so many."""

    def ask(state: State) -> dict[str, Any]:
        return {"n": interrupt("go?")}

    builder = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    graph = builder.compile(checkpointer=saver)
    before = size_of(url)
    for n in range(count):
        graph.invoke({"n": 0, "stop": 0, "items": []}, config(f"waiting-{n}", 10), durability="sync")
    return (size_of(url) - before) / count


def main() -> None:
    given = sys.argv[1] if len(sys.argv) > 1 else ""
    if len(sys.argv) > 2:
        survive(given, int(sys.argv[3]))
        return
    url = given or os.path.join(tempfile.mkdtemp(), "langgraph.sqlite3")
    figures: dict[str, float] = {}
    with checkpointer(url) as saver:
        figures["per_step_ms"] = per_step(saver, 1000)
        figures["fan_out_1000_s"] = fan_out(saver, 1000)
        figures["resume_1000_ms"] = resume(saver, 1000)
        figures["resume_5000_ms"] = resume(saver, 5000)
        before = size_of(url)
        store(saver, 1000)
        stored = size_of(url)
        figures["waiting_run_bytes"] = waiting(saver, url, 10_000)
    figures["storage_1000_kb_mb"] = (stored - before) / 1e6
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
