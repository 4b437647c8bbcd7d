"""Configurations as trees: parsed, compared, taken back, and shown without secrets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediate.adapters.network.change import ConfigLines
from remediate.adapters.network.config import (
    Edit,
    Tree,
    difference,
    edits,
    masked,
    merged,
    missing,
    negated,
    parse,
    path_to,
    sections,
    stable,
)
from remediate.adapters.network.platforms import EOS, FRR, IOS, JUNOS, Platform

TEXT = """\
Building configuration...

Current configuration:
!
frr version 8.4.4
hostname r1
!
interface eth0
 description uplink
 ip ospf cost 10
exit
!
router bgp 65001
 neighbor 192.0.2.9 remote-as 65002
 neighbor 192.0.2.9 password s3cret
 !
 address-family ipv4 unicast
  network 198.51.100.0/24
 exit-address-family
exit
!
end
"""


def test_a_tree_has_blocks_and_no_noise() -> None:
    tree = parse(TEXT, FRR)
    assert list(tree) == ["hostname r1", "interface eth0", "router bgp 65001"]
    assert tree.at(("router bgp 65001", "address-family ipv4 unicast")) == {"network 198.51.100.0/24": {}}


def test_what_a_backup_keeps_has_nothing_volatile() -> None:
    assert stable(TEXT, FRR).startswith("!\nhostname r1\n")
    one, two = (f"! Last configuration change at {n}\nCurrent configuration : {n} bytes\nx\n" for n in (1, 2))
    assert stable(one, IOS) == stable(two, IOS) == "x\n"


def test_facts_hide_secrets() -> None:
    facts = sections(parse(TEXT, FRR), FRR)
    assert "s3cret" not in str(facts)
    assert "neighbor 192.0.2.9 password <hidden>" in facts["router bgp 65001"]
    assert facts["(single lines)"] == "hostname r1\n"


@pytest.mark.parametrize(
    ("platform", "line"),
    [
        (IOS, "enable secret 5 s3cret"),
        (IOS, "snmp-server community s3cret RO"),
        (IOS, " ip ospf message-digest-key 1 md5 7 s3cret"),
        (EOS, "username x privilege 15 secret 0 s3cret"),
        (JUNOS, 'set system root-authentication encrypted-password "s3cret"'),
        (JUNOS, "set snmp community s3cret authorization read-only"),
    ],
)
def test_secrets_of_platforms(platform: Platform, line: str) -> None:
    assert "s3cret" not in masked(line, platform)
    assert "s3cret" not in difference(Tree(), parse(line, platform), platform)


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("neighbor 192.0.2.9 password s3cret", True),
        ("snmp-server community s3cret RO", True),
        ("ip ospf message-digest-key 1 md5 s3cret", True),
        ("tacacs-server key s3cret", True),
        ("no neighbor 192.0.2.9 password", False),
        ("match community CUSTOMERS", False),
        ("service password-encryption", False),
    ],
)
def test_a_plan_takes_no_line_with_a_secret(line: str, refused: bool) -> None:
    if refused:
        with pytest.raises(ValueError, match="a line holds a secret"):
            ConfigLines(lines=(line,))
    else:
        assert ConfigLines(lines=(line,)).lines == (line,)


@pytest.mark.parametrize(
    ("platform", "line", "back"),
    [
        (FRR, "ip ospf cost 10", "no ip ospf cost 10"),
        (FRR, "no shutdown", "shutdown"),
        (JUNOS, "set a b", "delete a b"),
        (JUNOS, "delete a b", "set a b"),
    ],
)
def test_a_line_and_its_opposite(platform: Platform, line: str, back: str) -> None:
    assert negated(line, platform) == back


def test_what_is_missing() -> None:
    tree = parse(TEXT, FRR)
    wanted = [
        Edit(("interface eth0",), "ip ospf cost 10"),
        Edit(("interface eth0",), "no ip ospf cost"),
        Edit(("interface eth0",), "no shutdown"),
        Edit((), "ip route 192.0.2.0/24 blackhole"),
    ]
    assert missing(tree, wanted, FRR) == [wanted[1], wanted[3]]


def test_what_would_change_is_shown_below_its_parents() -> None:
    tree = parse(TEXT, FRR)
    wanted = edits(parse("no ip ospf cost\nip ospf cost 44", FRR), ("interface eth0",))
    shown = difference(tree, merged(tree, wanted, FRR), FRR)
    assert "- ip ospf cost 10\n+ ip ospf cost 44\n" in shown


_words = st.lists(st.sampled_from(["a", "b", "c 1", "c 2", "d e"]), unique=True, max_size=4)
_trees = st.recursive(
    st.builds(lambda ws: Tree({w: Tree() for w in ws}), _words),
    lambda below: st.dictionaries(st.sampled_from(["x", "y", "z 1"]), below, max_size=3).map(Tree),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(_trees, _trees)
def test_the_path_leads_there(now: Tree, then: Tree) -> None:
    result = now
    for edit in path_to(now, then, FRR):
        result = merged(result, [edit], FRR)
    assert result == then
