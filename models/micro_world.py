"""The micro-world: a generator of short stories, retellings and questions whose answers are in the story.

    Mia has the red ball. Tom is at the lake. Again: Tom is at the lake. Mia has the red ball. Who has the ball? Mia.

Everything is drawn from the word lists below with a seeded generator. One pair in eight of (name, thing),
(name, place) and (colour, thing) is held out: training never shows it, and held-out stories contain no other, so
that an answer cannot come from having seen the pair before.

    python3 models/micro_world.py --stories 3 --seed 1             # a look at the text
    python3 models/micro_world.py --held-out 400 > held-out.txt    # text to measure perplexity on
"""

import argparse
import dataclasses
import random
import zlib

NAMES = """Mia Tom Ana Ben Eva Leo Zoe Sam Ida Max Lea Jon Ada Kai Nia Ray
           Uma Gus Ivy Hal Joy Pam Roy Liz Dan Fay Ned Sue Tim Val Wes Kim""".split()
THINGS = """ball key book cup hat lamp drum kite coin bell rope map box pen ring shoe
            spoon stone cake boat doll fan flag apple pear egg jar bag brush clock shell candle""".split()
PLACES = """lake park school market river station garden kitchen forest beach farm bridge
            mill barn church castle hill harbour library bakery tower well island shop""".split()
COLOURS = "red blue green yellow black white brown pink grey purple orange silver".split()
HAVING = "has holds carries found".split()
BEING = ["is", "waits", "sits", "works"]
OPENINGS = ["Once upon a time", "One day", "This morning", "Today", "Last night", "Long ago"]

# Words that the stories do not use, so that other text does not fall apart into single letters.
COMMON = """the of and to in a is that it for was on are as with his they at be this from have or by one had not but
what all were when we there can an your which their said if do will each about how up out them then she many some so
these would other into more her two like him see time could no make than first been its who now people my made over
did down only way find use may water long little very after words called just where most know get through back much
before go good new write our used me man too any day same right look think also around another came come work three
word must because does part even place well such here take why things help put years different away again off went
old number great tell men say small every found still between name should home big give air line set own under read
last never us left end along while might next sound below saw something thought both few those always looked show
large often together asked house world going want important until food keep children feet land side without boy once
animals life enough took sometimes four head above kind began almost live page got earth need far hand high year
mother light country father let night picture being study second soon story since white ever paper hard near sentence
better best across during today however sure means knew try told young sun whole hear example heard several change
answer room sea against top turned learn point city play toward five using himself usually model weight layer token
byte number bit scale block""".split()

BOS, EOS = "<|story|>", "<|end|>"


@dataclasses.dataclass(frozen=True)
class Style:
    """How rich the language is; training begins plain, and gets richer once looking up works."""

    colours: float = 0.0  # share of stories whose things have colours
    varied: float = 0.0  # share of stories with verbs other than "has" and "is", and with openings
    where_thing: float = 0.0  # chance that a question for the place of a thing, which takes two steps, may be asked
    retold: float = 0.8  # share of stories that are told again
    shown: float = 0.0  # share of stories whose facts are then said the other way round
    questions: int = 4  # the most questions after a story; the least is two


PLAIN = Style()
SHOWING = Style(retold=0.1, shown=1.0, questions=12)
COLOURED = Style(colours=0.6, retold=0.3, shown=0.4, questions=6)
RICH = Style(colours=0.7, varied=0.5, where_thing=0.5, retold=0.5, shown=0.2, questions=6)


@dataclasses.dataclass(frozen=True)
class Fact:
    """Someone has a thing, or is at a place."""

    name: str
    thing: str = ""
    colour: str = ""
    place: str = ""
    verb: str = ""

    @property
    def stem(self):
        """What comes before the part that only the story can tell."""
        return f"{self.name} {self.verb} the" if self.thing else f"{self.name} {self.verb} at the"

    @property
    def rest(self):
        return f"{self.coloured}." if self.thing else f"{self.place}."

    @property
    def shown(self):
        """The other way round: what is pointed at, and what the story tells about it."""
        told = f"{self.name} {self.verb}." if self.thing else f"{self.name} {self.verb} at."
        return f"This is the {self.place or self.coloured}", told

    @property
    def coloured(self):
        return f"{self.colour} {self.thing}" if self.colour else self.thing

    @property
    def sentence(self):
        return f"{self.stem} {self.rest}"


@dataclasses.dataclass(frozen=True)
class Question:
    """`text` up to the question mark, `answer` after it; `kind` is for counting."""

    kind: str
    text: str
    answer: str


@dataclasses.dataclass(frozen=True)
class Story:
    opening: str
    facts: list
    retold: list
    shown: list
    questions: list

    def segments(self):
        """Pairs (kind, text) that make the story when joined. Kind is "" where the text does not follow from the story,
        "retold" for the end of a retold sentence, "shown" for that of one said the other way round, and the question's
        kind for an answer."""
        space = ""
        if self.opening:
            yield "", f"{self.opening},"
            space = " "
        for fact in self.facts:
            yield "", space + fact.sentence
            space = " "
        if self.retold:
            yield "", " Again:"
        for fact in self.retold:
            yield "", f" {fact.stem}"
            yield "retold", f" {fact.rest}"
        for fact in self.shown:
            pointed, told = fact.shown
            yield "", f" {pointed}"
            yield "shown", f" {told}"
        for question in self.questions:
            yield "", f" {question.text}"
            yield question.kind, f" {question.answer}"

    @property
    def text(self):
        return "".join(text for _, text in self.segments())


def is_held_out(one, other):
    """True for one pair in eight, the same on every machine."""
    return zlib.crc32(f"{one}/{other}".encode()) % 8 == 0


class Generator:
    """Draws stories. `held_out` turns the pairs round: only those that training never shows."""

    def __init__(self, seed, held_out=False):
        self.random = random.Random(seed)
        self.held_out = held_out

    def story(self, style, n_facts=None, n_questions=None):
        """A story of two to six facts, its retelling in another order, and questions."""
        draw = self.random
        n_facts = n_facts or draw.randint(2, 6)
        facts = self._facts(style, n_facts)
        opening = draw.choice(OPENINGS) if draw.random() < style.varied / 2 else ""
        retold = draw.sample(facts, n_facts) if draw.random() < style.retold else []
        shown = draw.sample(facts, n_facts) if style.shown and draw.random() < style.shown else []
        questions = self._questions(facts, style)
        draw.shuffle(questions)
        return Story(opening, facts, retold, shown, questions[: n_questions or draw.randint(2, style.questions)])

    def _facts(self, style, count):
        draw = self.random
        coloured, varied = draw.random() < style.colours, draw.random() < style.varied
        names = draw.sample(NAMES, len(NAMES))
        things, places = set(), set()
        facts = []
        while len(facts) < count:
            name = names.pop()
            kinds = draw.choice(["thing", "place", "both"] if count - len(facts) > 1 else ["thing", "place"])
            thing = self._draw(THINGS, name, things) if kinds != "place" else ""
            if thing:
                colour = self._draw(COLOURS, thing, set()) if coloured and draw.random() < 0.8 else ""
                facts.append(Fact(name, thing, colour, verb=draw.choice(HAVING) if varied else "has"))
            place = self._draw(PLACES, name, places) if kinds != "thing" else ""
            if place:
                facts.append(Fact(name, place=place, verb=draw.choice(BEING) if varied else "is"))
        draw.shuffle(facts)
        return facts

    def _draw(self, words, partner, used):
        """A word not used yet that may stand with its partner; empty if there is none."""
        free = [w for w in words if w not in used and is_held_out(partner, w) == self.held_out]
        if not free:
            return ""
        word = self.random.choice(free)
        used.add(word)
        return word

    def _questions(self, facts, style):
        place_of = {fact.name: fact.place for fact in facts if fact.place}
        asked = []
        for fact in facts:
            if fact.place:
                asked.append(Question("where is name", f"Where is {fact.name}?", f"At the {fact.place}."))
                asked.append(Question("who is at", f"Who is at the {fact.place}?", f"{fact.name}."))
                continue
            asked.append(Question("who has", f"Who has the {fact.thing}?", f"{fact.name}."))
            asked.append(Question("what has", f"What does {fact.name} have?", f"The {fact.coloured}."))
            if fact.colour:
                asked.append(Question("colour", f"What colour is the {fact.thing}?", f"It is {fact.colour}."))
            if fact.name in place_of and self.random.random() < style.where_thing:
                asked.append(Question("where is thing", f"Where is the {fact.thing}?",
                                      f"At the {place_of[fact.name]}."))
        return asked


def vocabulary_text():
    """What the tokenizer learns its merges from: every word of the micro-world often, common words once."""
    words = NAMES + THINGS + PLACES + COLOURS + HAVING + BEING
    words += "the at and is has have does Who What Where colour Again The At It".split()
    words += " ".join(OPENINGS).replace(",", "").split()
    lines = [f" {word}" for word in words] * 40
    lines += NAMES * 40 + [word.split()[0] for word in OPENINGS] * 40
    return lines + [f" {word}" for word in COMMON] * 4


def train_tokenizer(size=1024):
    """A byte-level BPE with GPT-2's splitting rule; ids 0 and 1 begin and end a story."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[BOS, EOS], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(vocabulary_text(), trainer)
    return tokenizer


def held_out_text(count, seed=2026):
    """Stories of held-out pairs, one a line."""
    generator = Generator(seed, held_out=True)
    return "".join(generator.story(RICH).text + "\n" for _ in range(count))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=3)
    parser.add_argument("--held-out", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.held_out:
        print(held_out_text(arguments.held_out), end="")
        return
    for style in (PLAIN, COLOURED, RICH):
        generator = Generator(arguments.seed)
        for _ in range(arguments.stories):
            print(generator.story(style).text)


if __name__ == "__main__":
    main()
