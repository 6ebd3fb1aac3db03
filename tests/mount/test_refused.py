"""Objects that S3 does not give out, for reasons of their own: the rest goes on without them, the log
says once what to do, and they are taken over when that was done."""

import itertools
import time

import corpus
import faults
import pytest
from mount import assert_same, wait_until

KMS_KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
WHO = "arn:aws:sts::111122223333:assumed-role/audit/maciefs"

REFUSALS = {
    "archived": ({"status": 403, "code": "InvalidObjectState",
                  "message": "The operation is not valid for the object's storage class",
                  "extra": "<StorageClass>GLACIER</StorageClass>"},
                 "is archived (GLACIER): restore it"),
    "key-of-kms": ({"status": 403, "code": "AccessDenied",
                    "message": f"User: {WHO} is not authorized to perform: kms:Decrypt on resource: "
                               f"{KMS_KEY} because no identity-based policy allows the kms:Decrypt "
                               "action"},
                   f"KMS denies kms:Decrypt with {KMS_KEY} to {WHO}"),
}
POLLS = 15  # of 0.2 s


@pytest.mark.parametrize("refusal", REFUSALS)
def test_the_hour_goes_on_without_it(refusal, faulty, fault_server, make_mount, rng, hour):
    answer, said = REFUSALS[refusal]
    base = int(time.time()) - 1000
    deliveries = faulty.put_all(corpus.delivery(rng, hour, modified=base + n) for n in range(6))
    refused, given = deliveries[1:3], deliveries[:1] + deliveries[3:]
    for delivery in refused:
        fault_server.arm("status", on=faults.GET, key=delivery.key, times=float("inf"), **answer)
    mount = make_mount(faulty)
    mount.wait_for_log(hour, corpus.expected_log(given))

    polls = fault_server.count(faults.LIST)
    wait_until(lambda: fault_server.count(faults.LIST) >= polls + POLLS, "some polls")
    given.append(corpus.delivery(rng, hour, modified=base + 10))
    faulty.put(given[-1])
    mount.wait_for_log(hour, corpus.expected_log(given))
    for delivery in refused:
        told = [line for line in mount.stderr.splitlines() if delivery.key in line]
        assert len(told) == 1 and said in told[0], mount.stderr
        assert fault_server.count(faults.GET, delivery.key) < POLLS / 2, "it is left alone for a while"

    fault_server.disarm()
    # Each is left alone for a while of its own, so either may come first.
    logs = [corpus.expected_log(given) + one.log + other.log
            for one, other in itertools.permutations(refused)]
    wait_until(lambda: mount.read(hour) in logs, "what was refused")
    assert mount.stderr.count(said) == len(refused)


def test_an_old_hour_is_read_without_it(faulty, fault_server, make_mount, rng, old_hour):
    answer, said = REFUSALS["archived"]
    deliveries = faulty.put_all(corpus.delivery(rng, old_hour, modified=1_700_000_000 + n)
                                for n in range(6))
    refused, given = deliveries[0], deliveries[1:]
    fault_server.arm("status", on=faults.GET, key=refused.key, times=float("inf"), **answer)
    mount = make_mount(faulty, {"dir_ttl": 1})
    assert_same(corpus.expected_log(given), mount.read(old_hour))
    with pytest.raises(OSError):
        open(mount.object_path(refused.key), "rb").close()
    assert mount.stderr.count(said) == 1
    fault_server.disarm()
    mount.wait_for_log(old_hour, corpus.expected_log(given) + refused.log)
    with open(mount.object_path(refused.key), "rb") as file:
        assert_same(refused.plain, file.read())


def test_a_day_of_archived_objects(faulty, fault_server, make_mount, rng, hour):
    """The log does not fill with them, and the server is not asked for them at each poll."""
    answer, said = REFUSALS["archived"]
    base = int(time.time()) - 2000
    archived = faulty.put_all(corpus.delivery(rng, hour, [b"{}"], modified=base + n)
                              for n in range(400))
    fault_server.arm("status", on=faults.GET, times=float("inf"), **answer)
    mount = make_mount(faulty)
    wait_until(lambda: "392 more objects of" in mount.stderr, "a message about the rest")
    polls = fault_server.count(faults.LIST)
    wait_until(lambda: fault_server.count(faults.LIST) >= polls + POLLS, "some polls")
    assert mount.stderr.count("\n") == 8 + 1, mount.stderr
    assert fault_server.count(faults.GET) < len(archived) * POLLS / 2
    fault_server.disarm()
    mount.wait_for_log(hour, corpus.expected_log(archived))
