"""One exchange over a real connection on the loopback interface: bounded, followed nowhere, and away where it fails."""

import asyncio

import pytest
from aiohttp import web

from adapters.client.errors import AnswerError, BrokerAwayError
from adapters.client.transport import HttpTransport, Request

pytestmark = [pytest.mark.loopback, pytest.mark.enable_socket]


async def answering(handler, work):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    transport = HttpTransport(connections=2)
    try:
        return await work(transport, f"http://127.0.0.1:{port}")
    finally:
        await transport.close()
        await runner.cleanup()


def ask(url, *, seconds=5.0, limit=1000, body=None, headers=None):
    return Request("PUT" if body else "GET", url, headers or {}, body, seconds, limit)


def test_what_is_sent_is_what_arrives():
    async def handler(request):
        body = await request.read()
        shown = "|".join(
            [request.method, request.path_qs, request.headers.get("Accept-Encoding", "none"), body.decode()]
        )
        return web.Response(text=shown, status=201, headers={"Retry-After": "3"})

    async def work(transport, base):
        return await transport.send(ask(f"{base}/v1/feed?topic=*.x", body=b"abc", headers={"X-Own": "1"}))

    answer = asyncio.run(answering(handler, work))
    assert answer.status == 201
    assert answer.body == b"PUT|/v1/feed?topic=*.x|none|abc"
    assert answer.headers["retry-after"] == "3"


def test_an_answer_that_is_too_large_or_compressed_or_elsewhere():
    over = asyncio.Event()

    async def handler(request):
        if request.path == "/large":
            return web.Response(body=b"x" * 1001)
        if request.path == "/packed":
            return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})
        if request.path == "/slow":
            await over.wait()
        if request.path == "/cut":
            request.transport.close()
        return web.Response(status=302, headers={"Location": "/large"})

    async def work(transport, base):
        with pytest.raises(AnswerError):
            await transport.send(ask(f"{base}/large"))
        with pytest.raises(BrokerAwayError):
            await transport.send(ask(f"{base}/packed"))
        with pytest.raises(BrokerAwayError, match="in time"):
            await transport.send(ask(f"{base}/slow", seconds=0.1))
        over.set()
        with pytest.raises(BrokerAwayError):
            await transport.send(ask(f"{base}/cut"))
        assert (await transport.send(ask(f"{base}/away"))).status == 302

    asyncio.run(answering(handler, work))


def test_nobody_there():
    async def run():
        transport = HttpTransport()
        try:
            with pytest.raises(BrokerAwayError):
                await transport.send(ask("http://127.0.0.1:9/x", seconds=2))
        finally:
            await transport.close()

    asyncio.run(run())


def test_an_answer_is_read_as_it_comes():
    go_on, over = asyncio.Event(), asyncio.Event()

    async def handler(request):
        if request.path == "/refused":
            return web.Response(body=b"no", status=404)
        if request.path == "/packed":
            return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"one")
        await go_on.wait()
        if request.path == "/cut":
            request.transport.abort()
        elif request.path == "/silent":
            await over.wait()
        else:
            await response.write(b"two")
        return response

    async def work(transport, base):
        opened = await transport.open(ask(f"{base}/whole"))
        assert opened.headers["content-type"] == "text/event-stream"
        assert await opened.read() == b"one"
        go_on.set()
        assert [await opened.read(), await opened.read()] == [b"two", b""]
        opened.close()
        refused = await transport.open(ask(f"{base}/refused"))
        assert (refused.status, refused.body) == (404, b"no")
        for path, message in (("/cut", "cannot be reached"), ("/silent", "in time")):
            opened = await transport.open(ask(base + path, seconds=0.2))
            await opened.read()
            with pytest.raises(BrokerAwayError, match=message):
                await opened.read()
            opened.close()
        with pytest.raises(BrokerAwayError, match="compresses"):
            await transport.open(ask(f"{base}/packed"))
        over.set()

    asyncio.run(answering(handler, work))


def test_an_answer_that_never_begins_is_away():
    async def work(transport, base):
        del base
        with pytest.raises(BrokerAwayError):
            await transport.open(ask("http://127.0.0.1:1/x"))

    async def handler(_request):
        return web.Response()

    asyncio.run(answering(handler, work))
