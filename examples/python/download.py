"""A download simulator: three workers share a channel of files, each takes the next one when it is done with its
last, and reports on another channel. Main prints the reports in the order of the files, whatever the order in which
they come, and closes the channel of files to send the workers home.
"""

from typing import NamedTuple

from gort import Chan, RecvChan, SendChan, WaitGroup, run, sleep

WORKERS, FILES, CHUNK = 3, 9, 64


class File(NamedTuple):
    number: int
    kilobytes: int


class Report(NamedTuple):
    file: File
    chunks: int


def download(files: RecvChan[File], reports: SendChan[Report]) -> None:
    for file in files:
        chunks = 0
        for _ in range(0, file.kilobytes, CHUNK):
            sleep(0.0005)  # the network
            chunks += 1
        reports.send(Report(file, chunks))


def main() -> None:
    files, reports = Chan[File](FILES), Chan[Report](WORKERS)
    pool = WaitGroup()
    for _ in range(WORKERS):
        pool.go(download, files.rx, reports.tx)
    for i in range(FILES):
        files.send(File(i + 1, 100 + 250 * (i % 4)))
    files.close()

    done = sorted(reports.recv() for _ in range(FILES))
    pool.wait()
    for report in done:
        print(f"file {report.file.number}: {report.file.kilobytes} KB in {report.chunks} chunks")
    print(f"{WORKERS} workers fetched {len(done)} files, {sum(r.file.kilobytes for r in done)} KB")


if __name__ == "__main__":
    run(main)
