"""What a server says is heard, even where the SDK notices by a send that fails; what it cannot know is passed over."""

import threading
from contextlib import contextmanager

from websockets.sync.server import serve

from scaleweb_sdk.link import Link
from scaleweb_sdk.protocol import Ack, Column, Hint, Refusal, Welcome, decode_up, encode
from tests.support.wait import PATIENCE_SECONDS, until


@contextmanager
def a_server(handle):
    """A server of one's own words; gives its address."""
    with serve(handle, "127.0.0.1", 0, close_timeout=0.2) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_final_refusal_is_heard_by_a_link_whose_send_meets_the_closed_connection(tmp_path):
    closed = threading.Event()

    def close_at_once(socket):
        """Before any batch can be there."""
        socket.recv()
        for frame in (Welcome(0, 0, 0.0), Ack(1), Refusal("bad_token", "the token was revoked", True)):
            socket.send(encode(frame))
        socket.close(4401)
        closed.set()

    def welcomed(_):
        # Only now does the link go on to send: the connection is closed beyond doubt.
        closed.wait(PATIENCE_SECONDS)

    with a_server(close_at_once) as url:
        # Without a token it does not connect yet: both batches are there when it does.
        link = Link(url, "", "run:x", spool_dir=tmp_path, on_welcome=welcomed)
        link.send([Column("loss", [1], [1.0], [1.0])])
        link.send([Column("loss", [2], [2.0], [2.0])], branch=1)
        link.flush()
        until(lambda: link.seq == 2)
        link.token = "sw_run_x"
        until(lambda: link.refused is not None)
        assert link.refused.message == "the token was revoked"
        assert link.acknowledged == 1
        assert not link.close(timeout=0.1)
    assert link.seq == 2  # the second waits in the spool


def test_a_frame_of_a_newer_server_is_passed_over(tmp_path):
    def speak_of_more(socket):
        socket.recv()
        socket.send(
            encode({"type": "welcome", "last_seq": 0, "branch": 0, "server_time": 0.0, "mood": "good"})
        )
        for raw in (encode({"type": "advice", "words": "rest"}), b"\xc1", "text"):
            socket.send(raw)
        for raw in socket:
            socket.send(encode(Ack(decode_up(raw).seq)))

    with a_server(speak_of_more) as url:
        link = Link(url, "sw_run_x", "run:x", spool_dir=tmp_path)
        link.send([Column("loss", [1], [1.0], [1.0])])
        assert link.close(timeout=60)


def test_a_server_under_load_gets_one_batch_where_it_had_many(tmp_path):
    sizes = []

    def ask_for_patience(socket):
        socket.recv()
        for frame in (Welcome(0, 0, 0.0), Hint(10.0)):
            socket.send(encode(frame))
        for raw in socket:
            batch = decode_up(raw)
            sizes.append(sum(len(column.steps) // 8 for column in batch.packed))
            socket.send(encode(Ack(batch.seq)))

    with a_server(ask_for_patience) as url:
        link = Link(url, "sw_run_x", "run:x", spool_dir=tmp_path, flush_seconds=0.01)
        until(lambda: link.flush_seconds == 10.0)
        for step in range(300):
            link.send([Column("loss", [step], [1.0], [1.0])])
            threading.Event().wait(0.001)  # thirty times the interval of its own
        assert link.close(timeout=10)
    assert sum(sizes) == 300
    assert len(sizes) <= 2
