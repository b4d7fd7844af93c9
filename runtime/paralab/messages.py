"""What processes say to each other.

A frame's body is one pickled list of messages; a message is a tuple whose first item is its
kind.  Nothing but ints, bytes, strings, tuples, lists and dicts of these stands in one: user
values travel as opaque ``bytes``, so that a reader never unpickles what it only passes on.

``ref`` below is ``(owner, key)``; ``place`` is ``(offset, size, number)`` in the
node's arena; it holds while ``number`` stands in the page that WELCOME brings.

Between two clients (drivers and workers), over their own socket:

========== ============================================================ =====================
DEFINE     template number, what, name, returns, function id, data, refs caller → worker
FORGET     template number                                               caller → worker
CALL       key, template, data | place, top arguments, nested refs,      caller → worker
           key of the object that holds large arguments, and for a
           generator: how far it may go, items to leave out, closed,
           numbers of lost items;
           for a call that runs again: which results were lost
RESULT     key, outcome, payload, stamps, inner refs, refs still held    worker → caller
TAKE_BACK  keys                                                          caller → worker
RETURNED   keys                                                          worker → caller
FETCH      key                                                           borrower → owner
OBJECT     key, outcome, payload, inner refs                             owner → borrower
HOLD       key, address of the new holder                                any → owner
RELEASE    key, number of holds                                          borrower → owner
CANCEL     key, force, recursive                                         caller → worker
CANCEL_REF request number, key, force, recursive; ANSWER back        borrower → owner
SURROUND   the driver's import path and folder, which have changed      driver → worker, node
TERMINATE  nothing                                                       owner of an actor → it
PRINTED    task name, pid, stream, text; owner and key, or None          worker → driver
ASSIGNED   resources, accelerator ids, depth, where, order of the lease  caller → worker
ITEMS      key, number of the first, its items as in SEVERAL             worker → caller
CREDIT     key, how many items a generator may make, whether to stop     caller → worker
========== ============================================================ =====================

Between a client and its node, see the second half.  A request carries a number and its
answer (ANSWER) carries the same.
"""

from __future__ import annotations

# client ↔ client
DEFINE = 1
FORGET = 2
CALL = 3
RESULT = 4
TAKE_BACK = 5
RETURNED = 6
FETCH = 7
OBJECT = 8
HOLD = 9
RELEASE = 10
CANCEL = 11
TERMINATE = 12
PRINTED = 13
ASSIGNED = 14
CANCEL_REF = 16
ITEMS = 15
CREDIT = 17

SURROUND = 80

# what DEFINE defines
FUNCTION = 0
METHOD = 1
ACTOR = 2

# outcome of a RESULT or OBJECT, and the state of an entry
INLINE = 0
"""payload: the blob itself"""
STORED = 1
"""payload: a place"""
FAILED = 2
"""payload: a packed failure (``paralab.remote_errors``)"""
SEVERAL = 3
"""payload: a list of (outcome, payload, inner refs), one a return value, or the last items"""

# client → node
WANT_LEASE = 32  # class number, resources, how many more (0: none), depth, name, where, environment
RETURN_LEASE = 33  # worker's address
BLOCKED = 34  # nothing: the task here waits and lends its CPU
UNBLOCKED = 35  # nothing
CONNECT = 36  # address; True behind it if there was a socket, which is broken
CREATE_ACTOR = 37  # key, name, placing resources, resources held, depth, where, environment
FIND_ACTOR = 38  # ref
KILL_ACTOR = 39  # request number, ref, whether it stays dead
DROP_ACTOR = 40  # ref, packed failure or None, the process that has had TERMINATE or None
ACTOR_EXIT = 41  # packed failure or None: this actor ends, and why
ALLOCATE = 42  # request number, owner, key, size; the answer is a place, or an error and its text
SEAL = 43  # owner, key
FREE = 44  # owner, key
ASK = 45  # request number, what
RESTART = 46  # request number: replace the workers
STOP = 47  # nothing: end the session
READY = 48  # nothing: this worker can take work
LOOKED = 83  # round, refs: those of WHO_LOOKS that this process looks at
PLACE_OF = 84  # request number, owner, key: where is it now? is answered as ALLOCATE is
LOOKING = 49  # owner, keys that this process still looks at
RELAY_PRINT = 50  # as PRINTED
RETIRING = 51  # bool: an idle worker's answer to RETIRE
KEEP_ACTOR = 52  # request number or 0, key, facts: before CREATE_ACTOR; True, or False: name taken
SPENT = 53  # nothing: this worker has run a function max_calls times and takes no more calls
CONSTRUCTOR = 54  # ref, definition, call: what makes the instance of a kept actor
NAMED_ACTOR = 55  # request number, namespace, name: who is that?
CREATE_GROUP = 56  # request number, id, dict of what the placement group shall be, depth
GROUP = 57  # request number, id, "remove" or "watch" (is answered by GROUP_STATE)
TIDIED = 58  # number of the TIDY: leases without work are returned
ENVIRONMENT = 59  # name, dict, bool: what an environment is that requests will name; the job's?
ENVIRONMENT_FAILED = 60  # pid, text: this worker's environment cannot be set up, so it ends
RUNNING = 89  # rows of worker, task name, since when in ns, whether it may be tried again
SURVEY = 61  # request number, what, limit: every other process is to tell the asker
TOLD = 62  # asker's address, request number, rows
END_RUNNING = 90  # worker's address, key: kill it if that task of mine is what it began last
KEY_VALUES = 91  # request number, "get", "put", ..., namespace, key, more; ``state.key_values``

# node → client
WELCOME = 64  # dict, with descriptors: the arena, the numbers of its places, the pulse board
LEASED = 65  # class number, worker's address, accelerator ids, order among the leases
REFUSED = 66  # class number, packed failure
REVOKE = 67  # worker's address, depth of the request that waits (-1: it is outdated)
PEER = 68  # address, with the descriptor of a socket to it
DIED = 69  # address, text that says how
ACTOR_AT = 70  # ref, address, resources held, accelerator ids, its max_task_retries
ACTOR_DEAD = 71  # ref, packed failure or None, text
ANSWER = 72  # request number, answer
OWNER_DIED = 73  # owner
LENT = 85  # request number, position, with the descriptor of a file: PLACE_OF, without room
WHO_LOOKS = 81  # round, refs: which of these objects does this process look at?
RETIRE = 74  # nothing
UNMET = 75  # class number, text: no node here can ever meet this request
CONSTRUCT = 76  # owner, definition, call, resources held, accelerator ids, depth, facts
ACTOR_RESTARTS = 77  # ref, text, whether a call had begun: there will be another process
GROUP_STATE = 78  # id, bool: the placement group is made, or is removed
TIDY = 79  # number: leases without work are to be returned
RESOURCES = 63  # dict, number of nodes: what all nodes have together, after one has come or gone
TELL = 82  # asker's address, request number, what, limit
OBJECT_LOST = 86  # refs: what lay in the store is gone; bool: it is to be made again now
WHAT_RUNS = 88  # addresses of leased workers: memory is short; RUNNING back
SHORT_OF_MEMORY = 21  # worker's address, text, whether trying again may help; its DIED follows

NODE_DIED = "its node has died"
"""How the text of DIED begins if the whole node of a worker is gone."""
GROUP_REMOVED = "its placement group was removed"
"""How it begins if the worker was ended with the group in which it ran."""
