"""Programs with a known mistake, as learners write them, and what a check must say of each.

By notebook: cells that are run at its end, and the first line of what they show.
"""

from __future__ import annotations

IN_THIS_PROCESS = """
def collect(texts):
    return sorted(word for text in texts for word in text.split() if len(word) > 5)
exercise(collect)
"""

PRINTS_IT = """
@paralab.remote
def long_words(text):
    print([word for word in text.split() if len(word) > 5])
def collect(texts):
    return sorted(paralab.get([long_words.remote(text) for text in texts]))
exercise(collect)
"""

FORGETS_GET = """
def collect(texts):
    return [long_words_of.remote(text) for text in texts]
exercise(collect)
"""

WITHOUT_A_BOARD = """
def play(scores):
    return max(scores)
exercise_1(play)
"""

A_BOARD_EACH = """
def play(scores):
    boards = [SafeBoard.remote() for _ in scores[:2]]
    for number, score in enumerate(scores):
        boards[number % 2].offer.remote(score)
    return max(paralab.get([board.get_best.remote() for board in boards[1:]]))
exercise_1(play)
"""

GET_IN_THE_LOOP = """
def serve_all(customers):
    desks = [Desk.remote(), Desk.remote()]
    for number in range(customers):
        paralab.get(desks[number % 2].serve.remote(0.01))
    return customers
exercise_2(serve_all)
"""

SECOND_DESK_IDLE = """
def serve_all(customers):
    desks = [Desk.remote(), Desk.remote()]
    paralab.get([desks[1].serve.remote(0.01) for _ in range(customers)])
    return customers
exercise_2(serve_all)
"""

LOADS_IN_THE_NOTEBOOK = """
def shout(names):
    return paralab.get([clean.remote(f"text of {name}") for name in names])
exercise_1(shout)
"""

FETCHES_ALL_BETWEEN = """
def shout(names):
    texts = paralab.get([load.remote(name) for name in names])
    return paralab.get([clean.remote(text) for text in texts])
exercise_1(shout)
"""

JOINS_IN_THE_NOTEBOOK = """
def both_in_turn(a, b):
    refs = [clean.remote(load_after.remote(name, None)) for name in (a, b)]
    return " + ".join(paralab.get(refs))
exercise_2(both_in_turn)
"""

FETCHES_THE_FIRST = """
def both_in_turn(a, b):
    one = paralab.get(clean.remote(load_after.remote(a, None)))
    other = clean.remote(load_after.remote(b, None))
    return paralab.get(join.remote(one, other))
exercise_2(both_in_turn)
"""

FETCHES_EACH_LEVEL = """
def total(values):
    level = list(values)
    while len(level) > 1:
        level = paralab.get([remote_add.remote(*pair) for pair in zip(level[::2], level[1::2])])
    return level[0]
exercise_1(total)
"""

ALL_IN_ONE_TASK = """
def total(values):
    return paralab.get(add_all.remote(*values))
exercise_1(total)
"""

FETCHES_FOUR_SUMS = """
def wide_total(values):
    sums = paralab.get([add_all.remote(*values[at : at + 4]) for at in range(0, 16, 4)])
    return paralab.get(add_all.remote(*sums))
exercise_2(wide_total)
"""

A_CHAIN_OF_FIVE = """
def wide_total(values):
    ref = add_all.remote(*values[:4])
    for at in (4, 7, 10, 13):
        ref = add_all.remote(ref, *values[at : at + 3])
    return paralab.get(ref)
exercise_2(wide_total)
"""

PUT_IN_THE_LOOP = """
def means_of(data, starts):
    return paralab.get([mean_of.remote(paralab.put(data), start) for start in starts])
exercise_1(means_of)
"""

SENDS_PARTS = """
def means_of(data, starts):
    return paralab.get([mean_of.remote(data[start : start + 100_000], 0) for start in starts])
exercise_1(means_of)
"""

FETCHES_ONCE = """
def process(stored):
    shifted = paralab.get(shift.remote(scale.remote(stored)))
    return paralab.get(total.remote(shifted))
exercise_2(process)
"""

ALL_IN_ONE = """
@paralab.remote
def everything(data):
    return float((data * 2 + 1).sum())
def process(stored):
    return paralab.get(everything.remote(stored))
exercise_2(process)
"""

ONE_TASK = """
def product(rows, columns):
    return paralab.get(band_of.remote(rows, columns))
exercise(product)
"""

BANDS_IN_TURN = """
def product(rows, columns):
    found = []
    for start in range(0, len(rows), 6):
        found += paralab.get(band_of.remote(rows[start : start + 6], columns))
    return found
exercise(product)
"""

A_TASK_FOR_EACH_ROW = """
def product(rows, columns):
    return [row[0] for row in paralab.get([band_of.remote([row], columns) for row in rows])]
exercise(product)
"""

THROWS_HERE = """
def estimate(darts, seeds):
    return sum(lean_pi(darts, seed) for seed in seeds) / len(seeds)
exercise(estimate)
"""

A_SEED_AT_A_TIME = """
def estimate(darts, seeds):
    hits = sum(paralab.get(count_hits.remote(darts, seed)) for seed in seeds)
    return 4 * hits / (darts * len(seeds))
exercise(estimate)
"""

SENDS_TRUE_AND_FALSE = """
@paralab.remote
def which_hit(darts, seed):
    rng = random.Random(seed)
    return [is_hit(throw(rng)) for _ in range(darts)]
def estimate(darts, seeds):
    found = paralab.get([which_hit.remote(darts, seed) for seed in seeds])
    return 4 * sum(map(sum, found)) / (darts * len(seeds))
exercise(estimate)
"""

PARSES_HERE = """
def busiest(texts):
    return answer(texts)
exercise(busiest)
"""

A_TEXT_AT_A_TIME = """
def busiest(texts):
    counts = [paralab.get(count_once.remote(text)) for text in texts]
    totals = [sum(column) for column in zip(*counts)]
    return totals.index(max(totals))
exercise(busiest)
"""

A_TASK_FOR_EACH_HOUR = """
@paralab.remote
def count_hour(text, hour):
    return sum(parsed(line)[1] == hour for line in text.splitlines())
def busiest(texts):
    refs = [count_hour.remote(text, hour) for hour in range(24) for text in texts]
    counts = paralab.get(refs)
    totals = [sum(counts[at : at + len(texts)]) for at in range(0, len(counts), len(texts))]
    return totals.index(max(totals))
exercise(busiest)
"""

SENDS_THE_ENTRIES = """
@paralab.remote
def entries_of(text):
    return [parsed(line) for line in text.splitlines()]
def busiest(texts):
    found = paralab.get([entries_of.remote(text) for text in texts])
    hours = [hour for entries in found for _, hour, _ in entries]
    return max(range(24), key=hours.count)
exercise(busiest)
"""

GET_FOR_EACH_PAGE = """
def handled(seconds):
    return [paralab.get(download.remote(page, wait)) for page, wait in enumerate(seconds)]
exercise_1(handled)
"""

WAITS_FOR_ALL = """
def handled(seconds):
    refs = [download.remote(page, wait) for page, wait in enumerate(seconds)]
    ready, _ = paralab.wait(refs, num_returns=len(refs))
    return sorted(paralab.get(ready))
exercise_1(handled)
"""

A_WINDOW_OF_ALL = """
def total(pages):
    waiting, found = [size_of.remote(page) for page in pages], 0
    while waiting:
        ready, waiting = paralab.wait(waiting)
        found += paralab.get(ready[0])
    return found
exercise_2(total)
"""

FOUR_AND_FOUR = """
def total(pages):
    found = 0
    for at in range(0, len(pages), 4):
        found += sum(paralab.get([size_of.remote(page) for page in pages[at : at + 4]]))
    return found
exercise_2(total)
"""

GIVES_UP = """
def words_of(texts):
    once = words_on.options(max_retries=0)
    return sum(paralab.get([once.remote(diary, *each) for each in enumerate(texts)]))
exercise_1(words_of)
"""

WITHOUT_BAD_LUCK = """
@paralab.remote
def words_alone(text):
    return len(text.split())
def words_of(texts):
    return sum(paralab.get([words_alone.remote(text) for text in texts]))
exercise_1(words_of)
"""

MORE_RESTARTS = """
def mean_of(values):
    mean = Mean.options(max_restarts=5).remote()
    paralab.get([mean.add.remote(value) for value in values[:4]])
    paralab.kill(mean, no_restart=False)
    return mean, paralab.get([mean.add.remote(value) for value in values[4:]])[-1]
exercise_2(mean_of)
"""

NEVER_LOOKS = """
@paralab.remote(max_restarts=1)
class KeepsOnly:
    def __init__(self, safe):
        self.safe, self.total, self.number = safe, 0, 0
    def add(self, value):
        self.total, self.number = self.total + value, self.number + 1
        paralab.get(self.safe.keep.remote("mean", (self.total, self.number)))
        return self.total / self.number
def mean_of(values):
    mean = KeepsOnly.remote(Safe.remote())
    paralab.get([mean.add.remote(value) for value in values[:4]])
    paralab.kill(mean, no_restart=False)
    return mean, paralab.get([mean.add.remote(value) for value in values[4:]])[-1]
exercise_2(mean_of)
"""

A_CHUNK_EACH = """
def errors_in_all(texts):
    return pool.map(errors_in, texts, chunksize=200)
exercise_1(errors_in_all)
"""

TWO_AT_A_TIME = """
def errors_in_all(texts):
    return pool.map(errors_in, texts, chunksize=2)
exercise_1(errors_in_all)
"""

SMALL_CHUNKS = """
def words_in_all(texts):
    return sum(pool.map(words_in, texts, chunksize=5))
exercise_2(words_in_all)
"""

LONGEST_FIRST = """
def words_in_all(texts):
    return sum(pool.map(words_in, texts[::-1], chunksize=100))
exercise_2(words_in_all)
"""

LINE_BY_LINE = """
def protocol(seconds):
    mailbox = Mailbox.remote()
    for step, wait in enumerate(seconds):
        paralab.get(mailbox.write.remote(line_of.remote(step, wait)))
    return paralab.get(mailbox.read.remote())
exercise_1(protocol)
"""

SORTS_AFTERWARDS = """
def protocol(seconds):
    mailbox = Mailbox.remote()
    paralab.get([write_line.remote(mailbox, *each) for each in enumerate(seconds)])
    return sorted(paralab.get(mailbox.read.remote()))
exercise_1(protocol)
"""

ADDS_UP_THE_COUNTERS = """
def pages_of(books):
    return sum(paralab.get([count_pages.remote(pages) for pages in books]))
exercise_2(pages_of)
"""

COUNTS_WITHOUT_TASKS = """
def pages_of(books):
    progress = Progress.remote()
    paralab.get([progress.step.remote() for pages in books for _ in range(pages)])
    return paralab.get(progress.so_far.remote())
exercise_2(pages_of)
"""

FETCHES_THE_RAIN = """
def wet_days(names):
    refs = [stations[name].ask.remote(lambda days: [day["PRCP"] or 0 for day in days])
            for name in names]
    return [sum(rain > 0 for rain in rains) for rains in paralab.get(refs)]
exercise_1(wet_days)
"""

ONE_STATION_AT_A_TIME = """
def wet_days(names):
    def wet(days):
        return sum((day["PRCP"] or 0) > 0 for day in days)
    return [paralab.get(stations[name].ask.remote(wet)) for name in names]
exercise_1(wet_days)
"""

NONE_AMONG_THE_GUSTS = """
def strongest(names):
    refs = [stations[name].ask.remote(lambda days: max(day["GUST"] for day in days))
            for name in names]
    return paralab.get(refs)
exercise_2(strongest)
"""

GUSTS_IN_TURN = """
def strongest(names):
    return [paralab.get(stations[name].ask.remote(largest("GUST")))[0] for name in names]
exercise_2(strongest)
"""

AFTER_THE_LINE = """
def means(items):
    return blocks.gather_sync().for_each(mean).take(items)
exercise_1(means)
"""

WITHOUT_SHARDS = """
def means(items):
    return first_means(items)
exercise_1(means)
"""

IN_ROUNDS = """
def values(items):
    return slow_stations.batch_across_shards().flatten().take(items)
exercise_2(values)
"""

MADE_UP = """
def values(items):
    return [f"quick{number}" for number in range(items)]
exercise_2(values)
"""

POINTS_BY_VALUE = """
def spread(points, numbers):
    return paralab.get([distance.remote(points, number) for number in numbers])
exercise_1(spread)
"""

A_TASK_FOR_EACH_NUMBER = """
def spread(points, numbers):
    stored = paralab.put(points)
    return paralab.get([distance.remote(stored, number) for number in numbers])
exercise_1(spread)
"""

ONE_TASK_FOR_ALL_NUMBERS = """
def spread(points, numbers):
    return paralab.get(distances.remote(points, numbers))
exercise_1(spread)
"""

BATCHES_IN_TURN = """
def spread(points, numbers):
    stored, found = paralab.put(points), []
    for at in range(0, 24, 6):
        found += paralab.get(distances.remote(stored, numbers[at : at + 6]))
    return found
exercise_1(spread)
"""

HEIGHTS_BY_VALUE = """
def above(heights, limits):
    return paralab.get([number_above.remote(heights, limit) for limit in limits])
exercise_2(above)
"""

HEIGHTS_PUT_AGAIN = """
def above(heights, limits):
    return paralab.get([number_above.remote(paralab.put(heights), limit) for limit in limits])
exercise_2(above)
"""

ALL_LIMITS_IN_ONE_TASK = """
@paralab.remote
def all_above(heights, limits):
    return [int((heights > limit).sum()) for limit in limits]
def above(heights, limits):
    return paralab.get(all_above.remote(heights, limits))
exercise_2(above)
"""

READS_PAGE_BY_PAGE = """
def darkest_lines(pages):
    readers = [SmallReader.options(num_gpus=0.5).remote() for _ in range(2)]
    return [paralab.get(readers[n % 2].darkest.remote(page)) for n, page in enumerate(pages)]
exercise_1(darkest_lines)
"""

SECOND_READER_IDLE = """
def darkest_lines(pages):
    readers = [SmallReader.options(num_gpus=0.5).remote() for _ in range(2)]
    return paralab.get([readers[0].darkest.remote(page) for page in pages])
exercise_1(darkest_lines)
"""

READERS_WITHOUT_A_GPU = """
def darkest_lines(pages):
    readers = [SmallReader.options(num_gpus=0).remote() for _ in range(2)]
    return paralab.get([readers[n % 2].darkest.remote(page) for n, page in enumerate(pages)])
exercise_1(darkest_lines)
"""

DESCRIBES_HERE = """
def digest(scans):
    reader = SmallReader.remote()
    pages = [decode.remote(packed) for packed in scans]
    lines = paralab.get([reader.darkest.remote(page) for page in pages])
    return [f"darkest line: {line}" for line, _device in lines]
exercise_2(digest)
"""

FETCHES_THE_LINES = """
def digest(scans):
    reader = SmallReader.remote()
    pages = [decode.remote(packed) for packed in scans]
    lines = paralab.get([reader.darkest.remote(page) for page in pages])
    return paralab.get([describe.remote(line) for line in lines])
exercise_2(digest)
"""

FETCHES_BETWEEN_DESKS = """
def three_desks(forms):
    desks = [Desk.remote() for _ in range(3)]
    return one_form_at_a_time(desks, forms)
exercise_1(three_desks)
"""

ONE_DESK_FOR_ALL = """
def three_desks(forms):
    return pipeline([Desk.remote()] * 3, forms)
exercise_1(three_desks)
"""

TWO_DESKS = """
def three_desks(forms):
    return [form + 1 for form in pipeline([Desk.remote(), Desk.remote()], forms)]
exercise_1(three_desks)
"""

COUNTS_ARE_FETCHED = """
def histogram(seeds):
    counts = paralab.get([counts_of.remote(seed) for seed in seeds])
    return sorted(sum(counts, Counter()).items())
exercise_2(histogram)
"""

COUNTS_GO_OUT_AGAIN = """
def histogram(seeds):
    counts = paralab.get([counts_of.remote(seed) for seed in seeds])
    return paralab.get(add.remote(*counts))
exercise_2(histogram)
"""

ONE_TASK_DRAWS_ALL = """
@paralab.remote
def draw_all(seeds):
    return counted_here(seeds)
def histogram(seeds):
    return paralab.get(draw_all.remote(seeds))
exercise_2(histogram)
"""

STAYS_HERE = """
def checksums(numbers):
    return [checksum(number) for number in numbers]
exercise_1(checksums)
"""

EACH_NUMBER_BY_ITSELF = """
def checksums(numbers):
    remote_checksum = paralab.remote(checksum)
    return paralab.get([remote_checksum.remote(number) for number in numbers])
exercise_1(checksums)
"""

BOOKS_HERE = """
def balances(ledger, bookings):
    return booked(ledger, bookings)
exercise_2(balances)
"""

ONE_CALL_BOOKS_ALL = """
def balances(ledger, bookings):
    return paralab.get(paralab.remote(booked).remote(ledger, bookings))
exercise_2(balances)
"""

SENDS_THE_LEDGER_BY_ACTOR = """
@paralab.remote
class Clerk:
    def book(self, ledger, account, amount):
        return booked(ledger, [(account, amount)])
def balances(ledger, bookings):
    clerk = Clerk.remote()
    for account, amount in bookings:
        ledger = paralab.get(clerk.book.remote(ledger, account, amount))
    return ledger
exercise_2(balances)
"""

DRAWS_HERE = """
def bootstrap(table, seeds):
    return [brightness(table, seed) for seed in seeds]
exercise_1(bootstrap)
"""

ALL_DRAWS_IN_ONE_TASK = """
def all_of_them(table, seeds):
    return [brightness(table, seed) for seed in seeds]
def bootstrap(table, seeds):
    with joblib.parallel_config(backend="paralab", max_nbytes=100_000):
        return joblib.Parallel(n_jobs=2)([joblib.delayed(all_of_them)(table, seeds)])[0]
exercise_1(bootstrap)
"""

NEVER_THE_STORE = """
def bootstrap(table, seeds):
    draws = (joblib.delayed(brightness)(table, seed) for seed in seeds)
    with joblib.parallel_config(backend="paralab", max_nbytes=None):
        return joblib.Parallel(n_jobs=2)(draws)
exercise_1(bootstrap)
"""

FORESTS_HERE = """
exercise_2(scores_in_turn)
"""

A_TASK_FOR_EACH_TREE = """
def forest_scores(first):
    forest = RandomForestClassifier(n_estimators=6, random_state=first, n_jobs=2)
    search = GridSearchCV(forest, {"max_depth": [2, 4, 8]}, cv=2, n_jobs=1, refit=False)
    with joblib.parallel_config(backend="paralab"):
        search.fit(X[first : first + 300], y[first : first + 300])
    return search.cv_results_["mean_test_score"].tolist()
exercise_2(forest_scores)
"""

WRONG: dict[str, list[tuple[str, str]]] = {
    "00_before_you_start": [
        (IN_THIS_PROCESS, "Not yet, collect: the texts were not given to tasks, one each."),
        (PRINTS_IT, "Not yet, collect: the tasks kept what they had found."),
        (FORGETS_GET, "Not yet: collect(...) gave a reference, and no value."),
    ],
    "02_task_graphs": [
        (LOADS_IN_THE_NOTEBOOK, "Not yet, shout: not every text is loaded and cleaned by tasks."),
        (FETCHES_ALL_BETWEEN, "Not yet, shout: get was called before all were submitted."),
        (JOINS_IN_THE_NOTEBOOK, "Not yet, both_in_turn: there are not five tasks."),
        (FETCHES_THE_FIRST, "Not yet, both_in_turn: get was called between the tasks."),
    ],
    "03_tree_versus_chain": [
        (FETCHES_EACH_LEVEL, "Not yet, total: get was called between the levels."),
        (ALL_IN_ONE_TASK, "Not yet, total: there are not 15 additions."),
        (FETCHES_FOUR_SUMS, "Not yet, wide_total: get was called between the levels."),
        (A_CHAIN_OF_FIVE, "Not yet, wide_total: the tasks do not form two levels."),
    ],
    "04_objects": [
        (PUT_IN_THE_LOOP, "Not yet, means_of: the array was put again for each task."),
        (SENDS_PARTS, "Not yet, means_of: the tasks were sent the data themselves."),
        (FETCHES_ONCE, "Not yet, process: get was called between the tasks."),
        (ALL_IN_ONE, "Not yet, process: there are not three tasks."),
    ],
    "05_actors": [
        (WITHOUT_A_BOARD, "Not yet, play: there is not one board that all share."),
        (A_BOARD_EACH, "Not yet, play: there is not one board that all share."),
        (
            GET_IN_THE_LOOP,
            "Not yet, serve_all: get was called before all were submitted.",
        ),
        (SECOND_DESK_IDLE, "Not yet, serve_all: the desks share unevenly."),
    ],
    "06_local_or_remote": [
        (ONE_TASK, "Not yet, product: there is not enough to share."),
        (BANDS_IN_TURN, "Not yet, product: get was called before all were submitted."),
        (A_TASK_FOR_EACH_ROW, "Not yet, product: the tasks are too many and too small."),
    ],
    "07_profiling_pi": [
        (THROWS_HERE, "Not yet, estimate: the darts were not thrown by tasks, one for each seed."),
        (A_SEED_AT_A_TIME, "Not yet, estimate: get was called before all were submitted."),
        (SENDS_TRUE_AND_FALSE, "Not yet, estimate: the darts came back, all of them."),
    ],
    "08_profiling_across_workers": [
        (PARSES_HERE, "Not yet, busiest: the texts were not given to tasks, one each."),
        (A_TEXT_AT_A_TIME, "Not yet, busiest: get was called before all were submitted."),
        (A_TASK_FOR_EACH_HOUR, "Not yet, busiest: lines are parsed again and again."),
        (SENDS_THE_ENTRIES, "Not yet, busiest: too much came back."),
    ],
    "09_waiting_and_backpressure": [
        (GET_FOR_EACH_PAGE, "Not yet, handled: get was called before all were submitted."),
        (WAITS_FOR_ALL, "Not yet, handled: quick pages lay there until the slow one came."),
        (A_WINDOW_OF_ALL, "Not yet, total: too many tasks were under way."),
        (FOUR_AND_FOUR, "Not yet, total: the window ran empty."),
    ],
    "10_pools": [
        (A_CHUNK_EACH, "Not yet, errors_in_all: there are too few chunks."),
        (TWO_AT_A_TIME, "Not yet, errors_in_all: there are too many chunks."),
        (SMALL_CHUNKS, "Not yet, words_in_all: there are too many calls."),
        (LONGEST_FIRST, "Not yet, words_in_all: one call has far more than the others."),
    ],
    "11_scikit_learn": [
        (DRAWS_HERE, "Not yet, bootstrap: the draws did not leave this process."),
        (ALL_DRAWS_IN_ONE_TASK, "Not yet, bootstrap: all draws are in one task."),
        (NEVER_THE_STORE, "Not yet, bootstrap: the table travels with the tasks."),
        (FORESTS_HERE, "Not yet, scores_in_turn: the search did not leave this process."),
        (A_TASK_FOR_EACH_TREE, "Not yet, forest_scores: trees are sent, and not fits."),
    ],
    "12_parallel_iterators": [
        (AFTER_THE_LINE, "Not yet, means: the blocks came to this notebook."),
        (WITHOUT_SHARDS, "Not yet, means: the items were not taken from the shards."),
        (IN_ROUNDS, "Not yet, values: each round waits for the slow station."),
        (MADE_UP, "Not yet, values: the items were not taken from the shards."),
    ],
    "13_weather_actors": [
        (FETCHES_THE_RAIN, "Not yet, wet_days: the days came to this notebook."),
        (ONE_STATION_AT_A_TIME, "Not yet, wet_days: one station was asked after the other."),
        (NONE_AMONG_THE_GUSTS, "Not yet: strongest(...) raised an error."),
        (GUSTS_IN_TURN, "Not yet, strongest: one station was asked after the other."),
    ],
    "14_handles_and_messages": [
        (LINE_BY_LINE, "Not yet, protocol: one line was made after the other."),
        (SORTS_AFTERWARDS, "Not yet, protocol: several callers write to the mailbox."),
        (ADDS_UP_THE_COUNTERS, "Not yet, pages_of: there is not one counter for all."),
        (COUNTS_WITHOUT_TASKS, "Not yet, pages_of: the books were not given to tasks, one each."),
    ],
    "15_when_things_die": [
        (GIVES_UP, "Not yet: words_of(...) raised an error."),
        (WITHOUT_BAD_LUCK, "Not yet, words_of: no worker died."),
        (MORE_RESTARTS, "Not yet, mean_of: nobody remembers but the actor itself."),
        (NEVER_LOOKS, "Not yet: mean_of(...) gave another result."),
    ],
    "16_patterns": [
        (FETCHES_BETWEEN_DESKS, "Not yet, three_desks: get was called between the desks."),
        (ONE_DESK_FOR_ALL, "Not yet, three_desks: the forms do not follow each other closely."),
        (TWO_DESKS, "Not yet, three_desks: not every form goes through three desks."),
        (COUNTS_ARE_FETCHED, "Not yet, histogram: nobody but this notebook adds up."),
        (COUNTS_GO_OUT_AGAIN, "Not yet, histogram: more came than the sum."),
        (ONE_TASK_DRAWS_ALL, "Not yet, histogram: the seeds were not given to tasks, one each."),
    ],
    "17_antipatterns": [
        (POINTS_BY_VALUE, "Not yet, spread: the points were sent with the calls."),
        (A_TASK_FOR_EACH_NUMBER, "Not yet, spread: there is a task for each number."),
        (ONE_TASK_FOR_ALL_NUMBERS, "Not yet, spread: the numbers were not given to tasks."),
        (BATCHES_IN_TURN, "Not yet, spread: get was called before all were submitted."),
        (HEIGHTS_BY_VALUE, "Not yet, above: the heights were sent with each call."),
        (HEIGHTS_PUT_AGAIN, "Not yet, above: the heights were put again for each call."),
        (ALL_LIMITS_IN_ONE_TASK, "Not yet, above: the limits were not given to tasks, one each."),
    ],
    "18_resources_and_utilisation": [
        (READS_PAGE_BY_PAGE, "Not yet, darkest_lines: get was called before all were submitted."),
        (SECOND_READER_IDLE, "Not yet, darkest_lines: one reader has most of the pages."),
        (READERS_WITHOUT_A_GPU, "Not yet: darkest_lines(...) raised an error."),
        (DESCRIBES_HERE, "Not yet, digest: not every page goes through three stages."),
        (FETCHES_THE_LINES, "Not yet, digest: get was called between the stages."),
    ],
    "19_which_tool_when": [
        (STAYS_HERE, "Not yet, checksums: all of it ran in this process."),
        (EACH_NUMBER_BY_ITSELF, "Not yet, checksums: each item travels by itself."),
        (BOOKS_HERE, "Not yet, balances: the bookings did not leave this process."),
        (ONE_CALL_BOOKS_ALL, "Not yet, balances: the bookings did not leave this process."),
        (SENDS_THE_LEDGER_BY_ACTOR, "Not yet, balances: the ledger travels with each booking."),
    ],
}
