"""uvloop: the programs of asyncio on its event loop."""

import common
import uvloop
from with_asyncio import WORKLOADS

if __name__ == "__main__":
    loop = uvloop.new_event_loop()
    loop.run_until_complete(common.amain(WORKLOADS, common.command(WORKLOADS)))
