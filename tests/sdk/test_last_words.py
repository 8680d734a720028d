"""Why a server closed the link is heard, even where the SDK notices by a send that fails."""

import threading

import pytest
from websockets.sync.server import serve

from scaleweb_sdk.link import Link
from scaleweb_sdk.protocol import Ack, Column, Refusal, Welcome, encode
from tests.support.wait import until

LAST_WORDS = [Ack(1), Refusal("bad_token", "the token was revoked", True)]


@pytest.fixture
def closing_server():
    """Welcomes whoever comes, says its last words, and closes at once: before any batch can be there."""

    def handle(socket):
        socket.recv()
        for frame in (Welcome(0, 0, 0.0), *LAST_WORDS):
            socket.send(encode(frame))
        socket.close(4401)

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def test_a_final_refusal_is_heard_by_a_link_whose_send_meets_the_closed_connection(closing_server, tmp_path):
    def welcomed(_):
        # Only now does the link go on to send: the connection is closed beyond doubt.
        until(lambda: link._connection.close_code is not None)

    # Without a token it does not connect yet: both batches are there when it does.
    link = Link(closing_server, "", "run:x", spool_dir=tmp_path, on_welcome=welcomed)
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
