"""The message that each event becomes in wazuh/, worked out from the steps of Wazuh's own module.

Nothing here asks maciefs. Lines are compared as JSON values in which numbers keep their digits; of
a line that was slimmed, what the rules look at must be as it was, and the mark must be there.
"""

import collections
import json
import re
from dataclasses import dataclass

LINE_MAX = 65_278  # bytes without the newline: longer ones are lost in Wazuh

# What stays whole however long the rest is.
HEAD = ["source", "severity", "type", "title", "log_info"]

KEYED = ["Bucket", "DLP risk", "IP", "Location", "Object", "Owner", "Themes", "Timestamps",
         "recipientAccountId"]

NUMBER = "\0number "  # stands before a number's own text; no string of the tests begins so

LEADING_ZEROS = re.compile(r'("(?:lat|lon)":\s*-?)0+(?=\d)')
IPV4 = re.compile(r"\d+\.\d+\.\d+\.\d")


def number(text):
    return NUMBER + text


def text_of(line):
    return line.decode("utf-8", "surrogateescape")


def parse(line):
    """A line's JSON value, with numbers as their own text."""
    return json.loads(text_of(line), parse_float=number, parse_int=number)


@dataclass
class Origin:
    """Where objects are, as log_info has it; `key` is that under the prefix."""

    bucket: str
    prefix: str = ""
    account_alias: str = ""

    def log_info(self, key):
        return {"aws_account_alias": self.account_alias, "log_file": self.prefix + key,
                "s3bucket": self.bucket}


# The steps

def without_nulls(value):
    """Members that are null go, in objects in objects; arrays are left alone."""
    if not isinstance(value, dict):
        return value
    return {name: without_nulls(member) for name, member in value.items() if member is not None}


def without_single_arrays(value):
    """A member that is an array of one element becomes that, which is not looked into."""
    if isinstance(value, dict):
        return {name: without_single_arrays(member) for name, member in value.items()}
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def wrapped(holder, name):
    """What is no object becomes one, with the member "value"."""
    if isinstance(holder, dict) and name in holder and not isinstance(holder[name], dict):
        holder[name] = {"value": holder[name]}


def keys_of(value, before=""):
    """An object's keys, those of nested objects behind their parents' with a dot."""
    keys = []
    for name, member in value.items():
        nested = isinstance(member, dict) and member
        keys += keys_of(member, f"{before}{name}.") if nested else [before + name]
    return keys


def as_keys(value):
    return keys_of(value) if isinstance(value, dict) else value


def with_keys_for_maps(summary):
    for name in KEYED:
        if isinstance(summary.get(name), dict):
            summary[name] = keys_of(summary[name])
    events = summary.get("Events")
    for call in events.values() if isinstance(events, dict) else []:
        for name, member in call.items() if isinstance(call, dict) else []:
            is_count = name == "count" and isinstance(member, str) and member.startswith(NUMBER)
            call[name] = [member.removeprefix(NUMBER)] if is_count else as_keys(member)


def message_of(event, log_info):
    """The message of an event, as parse() gives it, or None where it has no place in the view."""
    if not isinstance(event, dict) or not isinstance(event.get("detail"), dict):
        return None
    aws = {"log_info": log_info, **event["detail"]}
    if isinstance(event.get("source"), str):
        aws["source"] = event["source"].replace("aws.", "")
    aws = without_single_arrays(without_nulls(aws))
    caller = aws.get("sourceIPAddress")
    if isinstance(caller, str) and IPV4.match(caller):
        aws["source_ip_address"] = caller
    wrapped(aws, "tags")
    service = aws.get("service")
    wrapped(service.get("additionalInfo") if isinstance(service, dict) else None, "unusual")
    if aws.get("source") == "macie":
        aws.pop("trigger", None)
        if isinstance(aws.get("summary"), dict):
            with_keys_for_maps(aws["summary"])
    return {"integration": "aws", "aws": aws}


def message_of_line(line, log_info):
    """Likewise of a line of the hour's log; what is no JSON has no place. The one event too deep
    for Python's parser is one without a detail."""
    try:
        event = json.loads(LEADING_ZEROS.sub(r"\1", text_of(line)), parse_float=number,
                           parse_int=number)
    except (ValueError, RecursionError):
        return None
    return message_of(event, log_info)


# What a file of the view, or a collector, must have

def expected_of(delivery, origin, damaged=False):
    """The messages of a delivery, in order, as comparable() gives them. Events of the tests are
    compact where they are long, so that their own length tells which will be slimmed."""
    log_info = origin.log_info(delivery.key)
    made = [(line, message_of_line(line, log_info)) for line in delivery.lines]
    messages = [comparable(message, slimmed=len(line) > LINE_MAX)
                for line, message in made if message]
    if damaged:
        failed = f"Failed to decompress file {log_info['log_file']}: "
        messages.append(comparable({"integration": "aws", "aws": {"log_info": log_info},
                                    "error_msg": failed}))
    return messages


def comparable(message, slimmed=False):
    """A message as one string, the same for equal ones. Of a slimmed one it has what must be whole;
    of an error's text, where it was."""
    aws = message["aws"]
    if slimmed:
        aws = {name: aws[name] for name in HEAD if name in aws}
    rest = {name: value for name, value in message.items() if name != "aws"}
    if "error_msg" in rest:
        rest["error_msg"] = rest["error_msg"].partition(": ")[0]
    return json.dumps([slimmed, aws, rest], sort_keys=True)


def is_slimmed(message):
    return "truncated" in message["aws"].get("maciefs", {})


def read_line(line):
    """What a line says, as comparable() gives it; ValueError where it is not one whole message."""
    if not line.endswith(b"\n") or len(line) > LINE_MAX + 1:
        raise ValueError(f"{len(line)} bytes that end in {line[-10:]!r}")
    message = parse(line)
    return comparable(message, is_slimmed(message))


def read_lines(data):
    """Likewise of all lines of a file."""
    return [read_line(line) for line in data.splitlines(keepends=True)]


Tally = collections.namedtuple("Tally", "lost repeated torn")


def assert_each_once(expected, lines):
    """Each expected message is one of the lines, none twice and none besides, and all are whole."""
    seen, torn = collections.Counter(), []
    for line in lines:
        try:
            seen[read_line(line)] += 1
        except (ValueError, KeyError, TypeError):
            torn.append(line)
    expected = collections.Counter(expected)
    lost, repeated = expected - seen, seen - expected
    counts = Tally(lost.total(), repeated.total(), len(torn))
    examples = [str(next(iter(some)))[:500] for some in (lost, repeated, torn) if some]
    assert counts == Tally(0, 0, 0), f"{counts}: {examples}"
