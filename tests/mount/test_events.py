"""Every event of every object is in its hour's log, once, byte for byte: whatever the compression,
whatever stands between the events, whatever is damaged beside them."""

import corpus
import pytest
from mount import assert_same, difference


def hours_back(count):
    """That many old hours, each its own."""
    return [corpus.now_hour(-100 - n) for n in range(count)]


def wrong_logs(mount, deliveries):
    """One message for each delivery whose hour (it has one of its own) reads otherwise."""
    wrong = []
    for name, one in deliveries.items():
        log = mount.read(one.key.rsplit("/", 1)[0])
        if log != one.log:
            wrong.append(f"{name}: {difference(one.log, log)}")
    return "\n".join(wrong)


def test_every_compression(store, make_mount, rng):
    hours = hours_back(len(corpus.COMPRESSIONS))
    deliveries = {name: corpus.delivery(rng, hour, corpus.random_events(rng, 60), compression=name)
                  for name, hour in zip(corpus.COMPRESSIONS, hours)}
    store.put_all(deliveries.values())
    assert wrong_logs(make_mount(store), deliveries) == ""


def test_every_joiner(store, make_mount, rng):
    hours = hours_back(len(corpus.JOINERS))
    deliveries = {name: corpus.delivery(rng, hour, corpus.random_events(rng, 60), joiner=name)
                  for name, hour in zip(corpus.JOINERS, hours)}
    store.put_all(deliveries.values())
    assert wrong_logs(make_mount(store), deliveries) == ""


def test_an_old_hour_of_every_form_is_in_order(store, make_mount, rng, old_hour):
    forms = store.put_all(corpus.every_form(rng, old_hour))
    assert_same(corpus.expected_log(forms), make_mount(store).read(old_hour))


def test_the_current_hour_of_every_form_is_in_order(store, make_mount, rng, hour):
    forms = store.put_all(corpus.every_form(rng, hour))
    make_mount(store).wait_for_log(hour, corpus.expected_log(forms))


def test_odd_events_are_kept_byte_for_byte(local, make_mount, rng, old_hour):
    one = corpus.delivery(rng, old_hour, corpus.ODD_EVENTS * 3, "nothing", "plain")
    local.put_all([one])
    assert_same(one.log, make_mount(local).read(old_hour))


def test_objects_of_no_bytes(store, make_mount, rng, old_hour):
    good = corpus.delivery(rng, old_hour)
    only_empty = corpus.now_hour(-101)
    store.put_all([corpus.empty_delivery(rng, old_hour), good, corpus.empty_delivery(rng, old_hour),
                   corpus.empty_delivery(rng, only_empty)])
    mount = make_mount(store)
    assert_same(good.log, mount.read(old_hour))
    assert mount.read(only_empty) == b""
    assert mount.status()["damaged"] == 0


@pytest.mark.parametrize("compression", ["gzip", "zip-deflated", "snappy", "hadoop-snappy"])
def test_compressed_nothing(local, make_mount, rng, old_hour, compression):
    local.put_all([corpus.delivery(rng, old_hour, [], "nothing", compression)])
    mount = make_mount(local)
    assert mount.read(old_hour) == b""
    assert mount.status()["damaged"] == 0


def test_text_passes_through_line_by_line(local, make_mount, rng, old_hour):
    data = b'hello\n{"a":1}\r\n[1,2]\n\n"text"\r\n{"b":\n 2}{"c":3}\nlast line'
    one = corpus.Delivery(f"{old_hour}/text", data)
    local.put_all([one])
    assert_same(b'hello\n{"a":1}\n[1,2]\n"text"\n{"b":2}\n{"c":3}\nlast line\n',
                make_mount(local).read(old_hour))


def test_a_large_object(store, make_mount, rng, old_hour):
    one = corpus.big_delivery(rng, old_hour, 12 << 20)
    store.put_all([one])
    assert_same(one.log, make_mount(store).read(old_hour))


def test_one_event_of_many_megabytes(local, make_mount, rng, old_hour):
    event = b'{"text":"' + b"0123456789{}\\\"" * 600_000 + b'"}'
    one = corpus.delivery(rng, old_hour, [b"{}", event, b'{"after":1}'], "nothing", "gzip")
    local.put_all([one])
    assert_same(one.log, make_mount(local).read(old_hour))


def test_many_objects_in_one_hour(store, make_mount, rng, old_hour):
    deliveries = store.put_all(corpus.delivery(rng, old_hour, compression="gzip") for _ in range(150))
    assert_same(corpus.expected_log(deliveries), make_mount(store).read(old_hour))


def test_counters(local, make_mount, rng, old_hour):
    deliveries = local.put_all(corpus.delivery(rng, old_hour) for _ in range(20))
    mount = make_mount(local)
    mount.read(old_hour)
    status = mount.status()
    assert status["objects"] == 20
    assert status["events"] == sum(len(d.lines) for d in deliveries)
    assert status["damaged"] == status["overwritten"] == status["failures"] == 0


def test_metrics_are_prometheus_text(local, make_mount, rng, old_hour):
    local.put_all([corpus.delivery(rng, old_hour)])
    mount = make_mount(local)
    mount.read(old_hour)
    with open(mount.at(".maciefs", "metrics")) as metrics:
        lines = metrics.read().splitlines()
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert any(name.startswith("maciefs_") and "objects" in name and float(value) == 1
               for name, value in samples.items())
    assert all(name.startswith("maciefs_") for name in samples)


# Damage

def test_damaged_objects_give_every_whole_event_before_the_damage(store, make_mount, rng):
    hours = hours_back(len(corpus.DAMAGES))
    deliveries = {damage: corpus.damaged_delivery(rng, hour, damage)
                  for damage, hour in zip(corpus.DAMAGES, hours)}
    store.put_all(deliveries.values())
    mount = make_mount(store)
    assert wrong_logs(mount, deliveries) == ""
    assert mount.status()["damaged"] == len(deliveries)
    for damage, one in deliveries.items():
        assert mount.read(one.key.rsplit("/", 1)[0]) == one.log
        messages = [line for line in mount.stderr.splitlines() if one.name in line]
        assert len(messages) == 1, f"{damage}: {messages}"
    assert mount.status()["damaged"] == len(deliveries)


def test_damaged_objects_leave_their_neighbours_alone(local, make_mount, rng, old_hour):
    deliveries = [corpus.delivery(rng, old_hour) for _ in range(12)]
    deliveries += [corpus.damaged_delivery(rng, old_hour, damage) for damage in corpus.DAMAGES]
    rng.shuffle(deliveries)
    local.put_all(deliveries)
    assert_same(corpus.expected_log(deliveries), make_mount(local).read(old_hour))


def test_damaged_objects_in_the_current_hour(local, make_mount, rng, hour):
    deliveries = [corpus.damaged_delivery(rng, hour, damage) for damage in corpus.DAMAGES]
    local.put_all(deliveries)
    mount = make_mount(local)
    mount.wait_for_log(hour, corpus.expected_log(deliveries))
    later = corpus.delivery(rng, hour)
    local.put(later)
    mount.wait_for_log(hour, corpus.expected_log(deliveries) + later.log)
    assert mount.status()["damaged"] == len(corpus.DAMAGES)


def test_any_flipped_bit_or_cut_costs_at_most_its_own_object(local, make_mount, rng):
    """Whatever comes of the damaged object: lines stay whole, neighbours complete, nothing dies."""
    cases = []
    for hour in hours_back(24):
        first, last = (corpus.delivery(rng, hour, modified=when) for when in (1_700_000_000, 1_700_000_020))
        broken = corpus.delivery(rng, hour, modified=1_700_000_010)
        body = bytearray(broken.body)
        if rng.random() < 0.5 and len(body) > 1:
            del body[rng.randrange(1, len(body)):]
        else:
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        broken.body = bytes(body)
        local.put_all([first, broken, last])
        cases.append((hour, first, last))
    mount = make_mount(local)
    for hour, first, last in cases:
        log = mount.read(hour)
        assert log.startswith(first.log) and log.endswith(last.log), hour
        assert len(log) >= len(first.log) + len(last.log)
        assert log.endswith(b"\n")


def test_a_bomb_ends_at_max_object(local, make_mount, rng, old_hour):
    event = b'{"zeros":"' + b"0" * 1000 + b'"}'
    bomb = corpus.delivery(rng, old_hour, [event] * 60_000, "nothing", "gzip")
    local.put(bomb)
    mount = make_mount(local, {"max_object": "1M"})
    log = mount.read(old_hour)
    assert bomb.log.startswith(log) and log.endswith(b"\n")
    assert (1 << 20) - 2 * len(event) < len(log) <= (1 << 20) + (1 << 12)
    assert mount.status()["damaged"] == 1
    assert bomb.name in mount.stderr
