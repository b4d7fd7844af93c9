"""Answers to exercise 5 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

KEEPS_IT_ELSEWHERE = """
class Reader(Reader):
    history = []
    def clean(self, text):
        words = [word.strip(".,").lower() for word in text.split()]
        self.history.append(words)
        return words
"""

FORGETS_ALL = """
class Reader(Reader):
    def read(self, text):
        self.known.clear()
        self.words = Counter(self.clean(text))
        self.texts += 1
        return len(self.clean(text))
"""

COUNTS_WITHOUT_CLEANING = """
class Reader(Reader):
    def clean(self, text):
        return set(text.split())
"""

CLEARS_IT_TOO_LATE = """
class Reader(Reader):
    def clean(self, text):
        if len(self.known) > 1000:
            self.known.clear()
        return super().clean(text)
"""

STUB = "growth"
WRONG = [
    (KEEPS_IT_ELSEWHERE, "growth"),
    (FORGETS_ALL, "report"),
    (COUNTS_WITHOUT_CLEANING, "result"),
    (CLEARS_IT_TOO_LATE, "growth"),
]
