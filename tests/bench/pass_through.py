"""What publishing is held beside: FastAPI and aiokafka, which pass bytes through and verify nothing.

python -m tests.bench.pass_through BOOTSTRAP PORT TOPIC
"""

import asyncio
import sys
from contextlib import asynccontextmanager

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request, Response


def application(bootstrap: str, topic: str) -> FastAPI:
    """Return an app that keeps each body, or each line of a batch, and answers once all in-sync copies have it."""

    @asynccontextmanager
    async def life(app: FastAPI):
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=1 << 20,
            max_request_size=2 << 20,
        )  # fmt: skip
        await producer.start()
        app.state.producer = producer
        yield
        await producer.stop()

    app = FastAPI(lifespan=life)

    @app.put("/v1/notices/{notice_id}", status_code=201)
    async def put(notice_id: str, request: Request) -> dict[str, object]:
        sent = await app.state.producer.send_and_wait(topic, await request.body(), key=notice_id.encode())
        return {"offset": sent.offset}

    @app.post("/v1/notices", status_code=200)
    async def post(request: Request) -> Response:
        lines = (await request.body()).splitlines()
        waiting = [await app.state.producer.send(topic, line) for line in lines]
        offsets = [(await one).offset for one in waiting]
        return Response("".join(f'{{"offset":{offset}}}\n' for offset in offsets), media_type="application/x-ndjson")

    return app


if __name__ == "__main__":
    app = application(sys.argv[1], sys.argv[3])
    asyncio.run(
        uvicorn.Server(uvicorn.Config(app, port=int(sys.argv[2]), log_level="warning", access_log=False)).serve()
    )
