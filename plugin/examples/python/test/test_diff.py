"""Tests of the comparison of the stored list with what DRS said."""

from unittest import TestCase

from fixture import TARGET, account, entry, id, view

from diff import ADDED_BY, Diff, diff


class TestDiff(TestCase):
    def test_first_region_that_named_it(self):
        views = [view("us-east-1", [1, 2]), view("eu-west-1", [2]), view("us-west-2", [1, 2])]
        self.assertEqual(diff(account(), views, "all").add, {id(1): "us-east-1", id(2): "eu-west-1"})

    def test_own_removes_only_what_the_sync_alone_added(self):
        stored = account(entry(3), entry(2), entry(1, ADDED_BY), entry(3, ADDED_BY))
        self.assertEqual(diff(stored, [], "own"), Diff(add={}, removable=[id(1)], kept=[id(2), id(3)]))
        self.assertEqual(diff(stored, [], "none").removable, [])

    def test_a_stored_target_is_stale(self):
        found = diff(account(entry(TARGET)), [view("eu-west-1", [TARGET])], "all")
        self.assertEqual(found, Diff(add={}, removable=[id(TARGET)], kept=[]))
