"""What Wazuh's AWS module makes of gzip objects of events, in Python with boto3 and json.

  module.py [--keep-place] [--send SOCKET] ENDPOINT BUCKET PREFIX

prints the seconds of CPU for all objects under the prefix, and their events. A message ends as the
bytes that would be sent; with --send they are, to a datagram socket that is opened for each.

Written from the steps in which that module works, to be measured beside maciefs and to check its
messages: shape() is one event's message, in the copy of a template that the module makes. Like the module it cuts every event off the text behind
which the next one stands, which copies the rest of the object each time; with --keep-place it does
not, as Python could do better.
"""
import argparse
import copy
import gzip
import json
import re
import socket
import time

import boto3

ADDRESS = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
PLACE = re.compile(r'("(?:lat|lon)":-?)0+(?=[0-9])')
KEYED = ("Bucket", "DLP risk", "IP", "Location", "Object", "Owner", "Themes", "Timestamps",
         "recipientAccountId")
DECODER = json.JSONDecoder()
HEADER = "1:Wazuh-AWS:"
TEMPLATE = {"integration": "aws",
            "aws": {"log_info": {"aws_account_alias": "", "log_file": "", "s3bucket": ""}}}


def drop_nulls(members):
    for name, value in list(members.items()):
        if value is None:
            del members[name]
        elif isinstance(value, dict):
            drop_nulls(value)


def unwrap_single(members):
    for name, value in list(members.items()):
        if isinstance(value, list) and len(value) == 1:
            members[name] = value[0]
        elif isinstance(value, dict):
            unwrap_single(value)


def paths(value, above=()):
    if not isinstance(value, dict):
        return [".".join(above)]
    return [path for name, inner in value.items() for path in paths(inner, above + (name,))]


def shape_macie(aws):
    aws.pop("trigger", None)
    summary = aws.get("summary")
    if not isinstance(summary, dict):
        return
    for name in KEYED:
        if isinstance(summary.get(name), dict):
            summary[name] = paths(summary[name])
    events = summary.get("Events")
    for call in events.values() if isinstance(events, dict) else ():
        for name, value in call.items() if isinstance(call, dict) else ():
            known = name == "count" and not isinstance(value, (dict, list))
            call[name] = [value if isinstance(value, str) else json.dumps(value)] if known \
                else paths(value)


def shape(event, bucket, key):
    """The message for an event, or None where it has no detail."""
    if not isinstance(event.get("detail"), dict):
        return None
    members = dict(event["detail"])
    if isinstance(event.get("source"), str):
        members["source"] = event["source"].replace("aws.", "")
    message = copy.deepcopy(TEMPLATE)
    aws = message["aws"]
    aws["log_info"].update({"aws_account_alias": "", "log_file": key, "s3bucket": bucket})
    drop_nulls(members)
    aws.update(members)
    unwrap_single(message)
    caller = aws.get("sourceIPAddress")
    if isinstance(caller, str) and ADDRESS.match(caller):
        aws["source_ip_address"] = caller
    if "tags" in aws and not isinstance(aws["tags"], dict):
        aws["tags"] = {"value": aws["tags"]}
    service = aws.get("service")
    info = service.get("additionalInfo") if isinstance(service, dict) else None
    if isinstance(info, dict) and "unusual" in info and not isinstance(info["unusual"], dict):
        info["unusual"] = {"value": info["unusual"]}
    if aws.get("source") == "macie":
        shape_macie(aws)
    return message


def decode(text, at=0):
    """An event and where it ends. What Macie writes of a place is repaired where it must be."""
    try:
        return text, *DECODER.raw_decode(text, at)
    except ValueError:
        text = PLACE.sub(r"\1", text[at:])
        return text, *DECODER.raw_decode(text)


def events_of(text):
    while text:
        text, event, end = decode(text)
        text = text[end:]
        yield event


def events_in_place(text):
    at = 0
    while at < len(text):
        text, event, at = decode(text, at)
        yield event


def send(address, message):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(address)
        sender.send(message)


def keys_of(client, bucket, prefix):
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            yield entry["Key"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep-place", action="store_true")
    parser.add_argument("--send", metavar="SOCKET")
    for name in ("endpoint", "bucket", "prefix"):
        parser.add_argument(name)
    return parser.parse_args()


def main():
    given = arguments()
    split = events_in_place if given.keep_place else events_of
    client = boto3.client("s3", endpoint_url=given.endpoint)
    start, count = time.process_time(), 0
    for key in keys_of(client, given.bucket, given.prefix):
        body = client.get_object(Bucket=given.bucket, Key=key)["Body"].read()
        for event in list(split(gzip.decompress(body).decode())):
            message = shape(event, given.bucket, key)
            if message is None:
                continue
            line = f"{HEADER}{json.dumps(message)}".encode()
            count += 1
            if given.send:
                send(given.send, line)
    print(f"{time.process_time() - start:.3f} {count}")


if __name__ == "__main__":
    main()
