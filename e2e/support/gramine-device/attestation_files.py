"""Uses Gramine's /dev/attestation as programs in C do: open, read, write, close, with their offsets and error numbers.

Stands for any program that is not ours. Argument: the folder. Prints what it saw as one JSON document.
"""

import errno
import json
import os
import sys
import threading

folder = sys.argv[1]


def at(*names):
    return os.path.join(folder, *names)


def put(name, value, flags=os.O_WRONLY):
    handle = os.open(at(name), flags)
    try:
        return os.write(handle, value)
    finally:
        os.close(handle)


def get(name, chunk):
    handle = os.open(at(name), os.O_RDONLY)
    try:
        parts = []
        while part := os.read(handle, chunk):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def refusal(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


def report_data_of(quote):
    return quote[48 + 320 : 48 + 384].hex()


def in_child(action):
    """Runs an action in a process of its own and gives what it returns."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(theirs, action().encode())
        finally:
            os._exit(0)
    os.close(theirs)
    answer = b""
    while part := os.read(ours, 4096):
        answer += part
    os.close(ours)
    os.waitpid(child, 0)
    return answer.decode()


def quote_over(byte):
    put("user_report_data", bytes([byte]) * 64)
    return report_data_of(get("quote", 8192))


def many_processes(count):
    """Each process writes, waits until all have written, and then reads its quote."""
    start, go = os.pipe()
    children = []
    for byte in range(count):
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            put("user_report_data", bytes([byte]) * 64)
            os.write(go, b".")
            os.read(start_gate, 1)
            os.write(theirs, report_data_of(get("quote", 1024)).encode())
            os._exit(0)
        os.close(theirs)
        children.append((child, ours))
    waiting = 0
    while waiting < count:
        waiting += len(os.read(start, count))
    os.write(open_gate, b"." * count)
    found = []
    for child, ours in children:
        found.append(os.read(ours, 4096).decode())
        os.close(ours)
        os.waitpid(child, 0)
    return found


def in_thread(action):
    answer = []
    thread = threading.Thread(target=lambda: answer.append(action()))
    thread.start()
    thread.join()
    return answer[0]


start_gate, open_gate = os.pipe()
seen = {}

seen["type"] = get("attestation_type", 4096).decode()
seen["names"] = sorted(os.listdir(folder))
seen["keyNames"] = sorted(os.listdir(at("keys")))
seen["sizes"] = [os.stat(at(name)).st_size for name in ("quote", "user_report_data", "keys/default")]

put("user_report_data", b"\x01" * 64)
whole = get("quote", 8192)
seen["quoteBytes"] = len(whole)
seen["byteByByte"] = report_data_of(get("quote", 1))
seen["readBack"] = get("user_report_data", 64).hex()
put("user_report_data", b"ab")
seen["short"] = report_data_of(get("quote", 4096))
put("user_report_data", bytes(range(100)), os.O_RDWR | os.O_TRUNC)
seen["long"] = report_data_of(get("quote", 4096))
handle = os.open(at("user_report_data"), os.O_RDWR)
os.write(handle, b"\x02" * 64)
os.write(handle, b"\x03" * 64)
seen["onHandle"] = os.pread(handle, 64, 0).hex()
os.close(handle)
seen["lastWriteCounts"] = report_data_of(get("quote", 4096))

handle = os.open(at("quote"), os.O_RDONLY)
put("user_report_data", b"\x04" * 64)
seen["madeAtOpening"] = report_data_of(os.pread(handle, 8192, 0))
os.close(handle)

seen["unsetKey"] = get("keys/default", 16).hex()
seen["shortKey"] = refusal(lambda: put("keys/default", b"\x05" * 15))
seen["longKey"] = refusal(lambda: put("keys/default", b"\x05" * 17))
seen["stillUnset"] = get("keys/default", 16).hex()
put("keys/default", bytes(range(16)))
seen["key"] = get("keys/default", 16).hex()
seen["unknownKey"] = refusal(lambda: put("keys/nobody", b"\x05" * 16))
seen["writtenQuote"] = refusal(lambda: put("quote", b"\x05"))

put("target_info", b"\x06" * 512)
seen["reportBytes"] = len(get("report", 4096))
seen["targetInfoBytes"] = len(get("my_target_info", 4096))

put("user_report_data", b"\x07" * 64)
seen["child"] = in_child(lambda: quote_over(8))
seen["parentAfterChild"] = report_data_of(get("quote", 4096))
seen["childKey"] = in_child(lambda: get("keys/default", 16).hex() or "none")
seen["thread"] = in_thread(lambda: report_data_of(get("quote", 4096)))
seen["processes"] = many_processes(8)

print(json.dumps(seen))
