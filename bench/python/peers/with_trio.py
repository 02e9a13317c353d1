"""trio: nurseries and memory channels."""

import common
import trio
import trio.testing


async def nothing():
    pass


async def spawn_join(n):
    for _ in range(n):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(nothing)


async def spawn_many(n):
    for start in range(0, n, 1000):
        async with trio.open_nursery() as nursery:
            for _ in range(min(1000, n - start)):
                nursery.start_soon(nothing)


async def pingpong(n):
    there_send, there_receive = trio.open_memory_channel(0)
    back_send, back_receive = trio.open_memory_channel(0)

    async def answer():
        for _ in range(n):
            await back_send.send(await there_receive.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        for i in range(n):
            await there_send.send(i)
            await back_receive.receive()


async def buffered(n):
    send, receive = trio.open_memory_channel(128)
    for i in range(n):
        await send.send(i)
        await receive.receive()


async def select_default(n):
    """It has no such thing: looks at one channel after the other."""
    channels = [trio.open_memory_channel(1) for _ in range(2)]
    for _ in range(n):
        for _, receive in channels:
            try:
                receive.receive_nowait()
                break
            except trio.WouldBlock:
                pass


async def mutex(n):
    lock = trio.Lock()
    for _ in range(n):
        async with lock:
            pass


async def mutex_8(n):
    lock = trio.Lock()

    async def work():
        for _ in range(n // 8):
            async with lock:
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(work)


async def parked(n):
    send, receive = trio.open_memory_channel(n)
    async with trio.open_nursery() as nursery:
        with common.Memory(n) as memory:
            for _ in range(n):
                nursery.start_soon(receive.receive)
            await trio.testing.wait_all_tasks_blocked()
        for _ in range(n):
            send.send_nowait(None)
    return memory.result


async def sleeping(n):
    with common.Span(n, common.SLEEP) as span:
        async with trio.open_nursery() as nursery:
            for _ in range(n):
                nursery.start_soon(trio.sleep, common.SLEEP)
    return span.result


async def echo(_):
    async def serve(stream):
        async for data in stream:
            await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        common.listening(listeners[0].socket.getsockname()[1])


WORKLOADS = common.public(globals(), *common.REPEATED, *common.ONCE)

if __name__ == "__main__":
    trio.run(common.amain, WORKLOADS, common.command(WORKLOADS))
