"""The files of scripts/wazuh fit each other, and the programs that they are for can read them."""

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from mount import BINARY, PATIENCE_S, REPOSITORY

FOLDER = os.path.join(REPOSITORY, "scripts/wazuh")
MOUNT_POINT = "/mnt/macie"
SERVICES = ["wazuh-agent.service", "wazuh-manager.service"]
STOCK_RULES = {"80200", "80350", "80351", "80352", "80353"}


def content(*names):
    with open(os.path.join(FOLDER, *names)) as file:
        return file.read()


def rules():
    return ElementTree.fromstring(content("rules/0900-macie_rules.xml")).findall("rule")


def settings(text):
    """The NAME=VALUE lines of a unit."""
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Za-z]+=", line))


def fstab_fields():
    lines = [line for line in content("fstab").splitlines() if not line.startswith("#")]
    assert len(lines) == 1
    return lines[0].split()


def test_localfile():
    block = ElementTree.fromstring(content("localfile.conf"))
    assert block.tag == "localfile"
    assert {element.tag: element.text for element in block} == {
        "log_format": "json", "location": f"{MOUNT_POINT}/wazuh/*.json", "only-future-events": "no"}


def test_rules_have_ids_of_their_own_and_known_parents():
    known = set(STOCK_RULES)
    for rule in rules():
        parents = set(rule.findtext("if_sid").replace(" ", "").split(","))
        assert parents <= known, f"rule {rule.get('id')}: {parents - known} come later or never"
        assert 100_000 <= int(rule.get("id")) <= 120_000
        assert rule.get("id") not in known
        known.add(rule.get("id"))
        assert 0 <= int(rule.get("level")) <= 16
        assert rule.findtext("description")


def test_rules_match_what_macie_sends():
    """The patterns mean the same to Python as to PCRE2."""
    patterns = {rule.get("id"): rule.find("field") for rule in rules()}
    types = {name: [rule for rule, field in patterns.items() if field is not None and
                    field.get("name") == "aws.type" and re.search(field.text, name)]
             for name in ("SensitiveData:S3Object/Personal", "SensitiveData:S3Object/Credentials",
                          "Policy:IAMUser/S3BucketPublic", "Policy:IAMUser/S3BucketSharedExternally",
                          "Policy:IAMUser/S3BucketEncryptionDisabled", "Recon:EC2/PortProbe")}
    data, policy = ["100901", "100902", "100903"], ["100911", "100912", "100913"]
    assert list(types.values()) == [data, data + ["100904"], policy + ["100914"],
                                    policy + ["100914"], policy, []]


def test_a_rule_lowers_no_level_but_a_samples():
    """Whatever rule takes the place of another has at least its level."""
    levels = {"80200": 0, "80350": 0, "80351": 4, "80352": 6, "80353": 8}
    for rule in rules():
        levels[rule.get("id")] = int(rule.get("level"))
        for parent in rule.findtext("if_sid").replace(" ", "").split(","):
            if "macie_sample" not in rule.findtext("group", ""):
                assert levels[parent] <= levels[rule.get("id")]


def test_fstab_and_unit_are_the_same_mount():
    source, point, kind, options, dump, check = fstab_fields()
    unit = settings(content("mnt-macie.mount"))
    assert (point, kind, dump, check) == (MOUNT_POINT, "fuse.maciefs", "0", "0")
    assert (unit["What"], unit["Where"], unit["Type"]) == (source, point, kind)
    boot_only = {"nofail", f"x-systemd.mount-timeout={unit['TimeoutSec']}"}
    assert set(options.split(",")) == set(unit["Options"].split(",")) | boot_only
    assert "_netdev" in options.split(",")


@pytest.mark.parametrize("service", SERVICES)
def test_wazuh_waits_for_the_mount(service):
    drop_in = settings(content(f"{service}.d", "maciefs.conf"))
    assert drop_in == {"RequiresMountsFor": MOUNT_POINT, "AssertPathIsMountPoint": MOUNT_POINT}


def verify(folder, unit):
    """What systemd has to say about a unit of a folder."""
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", os.path.join(folder, unit)],
                          capture_output=True, text=True, timeout=PATIENCE_S)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_systemd_takes_the_units(folder, service):
    shutil.copy(os.path.join(FOLDER, "mnt-macie.mount"), folder)
    shutil.copytree(os.path.join(FOLDER, f"{service}.d"), os.path.join(folder, f"{service}.d"))
    with open(os.path.join(folder, service), "w") as unit:
        unit.write("[Service]\nExecStart=/bin/true\n")
    assert verify(folder, service) == (0, "")
    assert verify(folder, "mnt-macie.mount") == (0, "")


def test_mount_takes_the_fstab_line():
    done = subprocess.run(["findmnt", "--fstab", "--tab-file", os.path.join(FOLDER, "fstab"), "-nro",
                           "SOURCE,TARGET,FSTYPE"], capture_output=True, text=True,
                          timeout=PATIENCE_S)
    assert done.stdout.split() == ["s3://BUCKET/PREFIX", MOUNT_POINT, "fuse.maciefs"], done.stderr


def test_the_readme_names_every_file():
    text = content("README.md")
    for top, _, names in os.walk(FOLDER):
        for name in names:
            path = os.path.relpath(os.path.join(top, name), FOLDER)
            shown = path if not path.endswith("maciefs.conf") else os.path.dirname(path) + "/"
            assert path == "README.md" or f"`{shown}`" in text, path


def named_options():
    """maciefs' own options that the texts name: in the option lists, and as `name=…` in the README."""
    lists = fstab_fields()[3] + "," + settings(content("mnt-macie.mount"))["Options"]
    named = {re.sub(r"=.*", "=", option) for option in lists.split(",")
             if not re.match(r"ro$|_netdev$|nofail$|x-", option)}
    named |= set(re.findall(r"`([a-z_]+=)", content("README.md")))
    return named | set(re.findall(r"`((?:no)?allow_other)`", content("README.md")))


def test_every_option_is_one_of_maciefs():
    shown = subprocess.run([BINARY, "--help"], capture_output=True, text=True, timeout=PATIENCE_S)
    listed = set(re.findall(r"^ {7}([a-z_]+=?) ", shown.stdout, re.M))
    assert named_options() <= listed
    assert {"window=", "pace=", "account_alias=", "shape="} <= named_options()
