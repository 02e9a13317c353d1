"""asyncio of the standard library: tasks, asyncio.Queue for channels (it has none without a buffer: one place)."""

import asyncio
import common


async def nothing():
    pass


async def spawn_join(n):
    for _ in range(n):
        await asyncio.create_task(nothing())


async def spawn_many(n):
    for start in range(0, n, 1000):
        tasks = [asyncio.create_task(nothing()) for _ in range(min(1000, n - start))]
        for task in tasks:
            await task


async def pingpong(n):
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def answer():
        for _ in range(n):
            await back.put(await there.get())

    task = asyncio.create_task(answer())
    for i in range(n):
        await there.put(i)
        await back.get()
    await task


async def buffered(n):
    queue = asyncio.Queue(128)
    for i in range(n):
        await queue.put(i)
        await queue.get()


async def select(n):
    """asyncio.wait on a get of each queue; the one that was not first waits on."""
    a, b = asyncio.Queue(1), asyncio.Queue(1)

    async def feed(queue):
        for i in range(n // 2):
            await queue.put(i)

    feeders = [asyncio.create_task(feed(a)), asyncio.create_task(feed(b))]
    gets = {asyncio.create_task(a.get()): a, asyncio.create_task(b.get()): b}
    taken = 0
    while taken < n // 2 * 2:
        done, _ = await asyncio.wait(gets, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            queue = gets.pop(task)
            gets[asyncio.create_task(queue.get())] = queue
            taken += 1
    for task in gets:
        task.cancel()
    await asyncio.gather(*feeders)


async def select_default(n):
    """It has no such thing: looks at one queue after the other."""
    queues = asyncio.Queue(1), asyncio.Queue(1)
    for _ in range(n):
        for queue in queues:
            try:
                queue.get_nowait()
                break
            except asyncio.QueueEmpty:
                pass


async def mutex(n):
    lock = asyncio.Lock()
    for _ in range(n):
        async with lock:
            pass


async def mutex_8(n):
    lock = asyncio.Lock()

    async def work():
        for _ in range(n // 8):
            async with lock:
                await asyncio.sleep(0)

    await asyncio.gather(*(work() for _ in range(8)))


async def parked(n):
    queue = asyncio.Queue()

    async def wait():
        await queue.get()

    with common.Memory(n) as memory:
        tasks = [asyncio.create_task(wait()) for _ in range(n)]
        await asyncio.sleep(0)
    for _ in range(n):
        queue.put_nowait(None)
    for task in tasks:
        await task
    return memory.result


async def sleeping(n):
    with common.Span(n, common.SLEEP) as span:
        await asyncio.gather(*(asyncio.sleep(common.SLEEP) for _ in range(n)))
    return span.result


async def echo(_):
    async def serve(reader, writer):
        while True:
            data = await reader.read(4096)
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    common.listening(server.sockets[0].getsockname()[1])
    await server.serve_forever()


WORKLOADS = common.public(globals(), *common.REPEATED, *common.ONCE)

if __name__ == "__main__":
    asyncio.run(common.amain(WORKLOADS, common.command(WORKLOADS)))
