#!/usr/bin/env python3
"""Makes the demo of lora-boundary: a tiny base model, a LoRA adapter for it, held-out samples.

    python3 -m venv /tmp/demo && /tmp/demo/bin/pip install -r requirements.txt
    OMP_NUM_THREADS=1 /tmp/demo/bin/python train.py            # 20 to 25 minutes on one core; rewrites the files beside this script
    OMP_NUM_THREADS=1 /tmp/demo/bin/python train.py --quick    # 2 minutes, far too little training; writes to a temporary folder

Nothing is downloaded: every text comes from the seeded grammars below, every weight from training on them.
Steps: (1) write little documents, (2) learn a byte-level BPE from them, (3) train a 12-layer llama-architecture model,
(4) freeze it and train a rank-8 adapter on another task (a row of facts -> its description), (5) write GGUF, and
measure what was written. Every measured figure in README.md is printed here: the base's loss on held-out text beside
unigram and bigram counts, the loss on the held-out samples for every boundary, and how many generated texts are complete.
"""
import argparse
import json
import os
import random
import re
import tempfile
import time
from collections import Counter

# One thread: the order of float additions, and so the result, then depends on the processor and the versions only.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
import gguf  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

SEED, SAMPLES, VOCAB = 20250331, 120, 1024
LAYERS, WIDTH, HEADS, KV_HEADS, FEED_FORWARD = 12, 128, 4, 2, 384
HEAD_DIM = WIDTH // HEADS
ROPE_BASE, NORM_EPS = 1000.0, 1e-5
ROW = 160  # tokens per training row; whole documents are packed into rows
RANK, ALPHA = 8, 16.0
BOS, EOS = "<|begin|>", "<|end|>"  # tokens 0 and 1: every document starts with the one and ends with the other

# ---- words of both tasks
WOMEN = "Mara Lina Ada Nora Ines Vera Olga Tessa Ruth Clara Dora Elsa Greta Hanna Ida Julia Karin Petra".split()
MEN = "Oskar Ben Tom Emil Hugo Karl Leo Felix Paul Anton David Erik Fred Georg Jonas Max Niels Simon".split()
TOWNS = """Norbury Elmstead Harwick Saltby Greenford Oakham Redcliff Millbrook Ashdale Brightwater Coldwell Denham Eastport
           Fairhaven Glenmore Highfield""".split()
JOBS = "baker teacher sailor doctor farmer painter clockmaker gardener miller tailor singer fisher nurse smith cook librarian".split()
TRAITS = "young old tall quiet clever kind shy brave proud lazy careful cheerful".split()
COLOURS = "red blue green white black yellow brown grey".split()
THINGS = "lamp key bell book coat map box clock ring basket hat drum mirror letter spoon rope".split()
HOLDERS = "drawer chest bag cupboard kitchen garden cellar boat tower wagon".split()
FRUIT = "apples pears plums nuts eggs candles buttons coins stamps ribbons".split()
PETS = "dog cat goat parrot donkey hen rabbit pony".split()
WEATHER = "sunny rainy windy cold warm foggy".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NAME_1 = """Golden Silver Red Blue Old Green White Black Merry Quiet Lucky Proud Hungry Sleepy Brave Little Royal Happy Broken
            Crooked""".split()
NAME_2 = "Fox Swan Lion Anchor Bell Crown Lantern Oak Rose Star Ship Bear Owl Goose Key Barrel Wheel Kettle Horse Feather".split()
KINDS = "inn tavern bakery restaurant bar teahouse".split()
FOODS = "fish soup pies noodles bread cheese pasta curry pancakes steak salads dumplings".split()
LANDMARKS = "river harbour market bridge church station park castle mill library".split()
PRICES = {"low": "cheap", "middle": "fairly priced", "high": "expensive"}
RATINGS = {1: "poor", 2: "weak", 3: "decent", 4: "good", 5: "excellent"}
ANY_WORD = WOMEN + MEN + TOWNS + JOBS + COLOURS + THINGS + FRUIT + FOODS + LANDMARKS + NAME_1 + NAME_2 + PETS

def place_names():
    """All names of places, in two parts: for training, and for the held-out samples (in no training text)."""
    names = [f"The {a} {b}" for a in NAME_1 for b in NAME_2]
    random.Random(SEED).shuffle(names)
    return names[SAMPLES:], names[:SAMPLES]

def an(word):
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"

class Person:
    def __init__(self, rng, avoid=None):
        women = rng.random() < 0.5
        self.name = rng.choice([n for n in (WOMEN if women else MEN) if n != avoid])
        self.he, self.him, self.his = ("she", "her", "her") if women else ("he", "him", "his")
        self.He, self.His = self.he.capitalize(), self.his.capitalize()
        self.sibling = "sister" if women else "brother"
        self.job, self.trait, self.town = rng.choice(JOBS), rng.choice(TRAITS), rng.choice(TOWNS)
        self.pet, self.age = rng.choice(PETS), rng.randint(12, 80)

def facts_of_place(rng):
    return {"kind": rng.choice(KINDS), "town": rng.choice(TOWNS), "food": rng.choice(FOODS), "near": rng.choice(LANDMARKS),
            "price": rng.choice(list(PRICES)), "rating": rng.randint(1, 5), "children": rng.choice(["yes", "no"])}

# ---- the base model's texts, six kinds
def story(rng, names):
    """Needs: names and pronouns kept apart over sentences, sums, and where a thing was put."""
    p = Person(rng)
    q = Person(rng, avoid=p.name)
    (thing, other), (holder, second) = rng.sample(THINGS, 2), rng.sample(HOLDERS, 2)
    colour, weather, goods = rng.choice(COLOURS), rng.choice(WEATHER), rng.choice(FRUIT)
    has, gives = rng.randint(5, 20), rng.randint(1, 4)
    out = [rng.choice([
        f"{p.name} was {an(p.trait)} {p.job} who lived in {p.town}.",
        f"In {p.town} there lived {an(p.trait)} {p.job} called {p.name}.",
        f"Once there was {an(p.job)} in {p.town}. {p.His} name was {p.name}, and {p.he} was very {p.trait}.",
    ]), rng.choice([
        f"{p.He} had {an(colour)} {thing} and a little {p.pet}.",
        f"{p.His} best friend was a {p.pet}, and {p.he} loved {p.his} {colour} {thing}.",
        f"Every {rng.choice(DAYS)} {p.he} cleaned {p.his} {colour} {thing}.",
    ]), rng.choice([
        f"One {weather} morning {p.he} went to the {rng.choice(LANDMARKS)} and met {q.name}, the {q.job}.",
        f"On {an(weather)} {rng.choice(DAYS)} {q.name} came to visit {p.him} from {q.town}.",
        f"It was {weather} outside when {p.his} {q.sibling} {q.name} knocked at the door.",
    ])]
    out += rng.sample([
        f"{p.name} had {has} {goods} and gave {gives} of them to {q.name}, so {p.he} had {has - gives} {goods} left.",
        f"{q.name} gave {p.him} {gives} {goods}. Before that {p.he} had {has}, so now {p.he} had {has + gives}.",
        f"\"Where is your {thing}?\" asked {q.name}. \"I put the {colour} {thing} in the {holder},\" said {p.name}.",
        f"\"I am hungry,\" said {q.name}, so {p.name} made some {rng.choice(FOODS)} for {q.him}.",
        f"They went to {rng.choice(names)} and ate {rng.choice(FOODS)} together.",
        f"The {p.pet} saw {q.name} and ran into the {second}. {p.name} had to laugh.",
    ], rng.randint(1, 2))
    if rng.random() < 0.6:
        out.append(f"{p.name} put the {other} in the {second}, and {q.name} put the {thing} in the {holder}.")
        first, where = rng.choice([(thing, holder), (other, second)])
        out.append(f"Later {rng.choice([p, q]).name} looked for the {first} and found it in the {where}.")
    out.append(rng.choice([
        f"In the evening {q.name} went back to {q.town}, and {p.name} was happy.",
        f"\"Thank you, {p.name},\" said {q.name}. \"Good night, {q.name},\" said {p.name}.",
        f"That was a good day for the {p.job} and the {q.job}.",
    ]))
    return " ".join(out)

def place(rng, names):
    """A place in plain prose, one thing per sentence. The adapter's task has its own format and its own style."""
    name, kind, town, rating = rng.choice(names), rng.choice(KINDS), rng.choice(TOWNS), rng.randint(1, 5)
    food, price, landmark = rng.choice(FOODS), rng.choice(list(PRICES)), rng.choice(LANDMARKS)
    owner = Person(rng)
    facts = [
        rng.choice([f"It stands near the {landmark}.", f"You find it next to the {landmark}."]),
        rng.choice([f"The cook makes {food}.", f"People go there for the {food}.", f"It is known for its {food}."]),
        f"The price is {price}, so it is {PRICES[price]}.",
        f"{rating} of 5 stars is its rating, and that is {RATINGS[rating]}.",
        rng.choice(["Families with children like it.", "Children are not welcome."]),
        f"The owner is {owner.name}, {an(owner.trait)} {owner.job} from {owner.town}. {owner.He} is {owner.age} years old.",
        f"It opens on {rng.choice(DAYS)} at {rng.randint(6, 11)} and closes at {rng.randint(12, 23)}.",
    ]
    start = rng.choice([f"{name} is {an(kind)} in {town}.", f"There is {an(kind)} in {town} called {name}."])
    return " ".join([start] + rng.sample(facts, rng.randint(2, 5)))

def questions(rng, names):
    """Facts about two or three people, then questions: the answer has to be looked up in the text."""
    people, lines = [], []
    while len(people) < rng.randint(2, 3):
        p = Person(rng)
        if p.name not in [o.name for o in people]:
            people.append(p)
    for p in people:
        thing = rng.choice(THINGS)
        p.has = f"{an(rng.choice(COLOURS))} {thing}"
        lines.append(rng.choice([
            f"{p.name} is {an(p.job)} from {p.town} and has {p.has}. {p.He} is {p.age} years old.",
            f"{p.name}, who is {p.age}, lives in {p.town}. {p.He} works as {an(p.job)} and owns {p.has}.",
        ]))
    out = [" ".join(lines)]
    for p in rng.sample(people, rng.randint(1, 2)):
        ask, answer = rng.choice([
            (f"Where does {p.name} live", p.town), (f"What is the work of {p.name}", p.job), (f"How old is {p.name}", p.age),
            (f"What does {p.name} own", p.has), (f"Who lives in {p.town}", next(o.name for o in people if o.town == p.town)),
            (f"Who has {p.has}", next(o.name for o in people if o.has == p.has))])
        out.append(f"Question: {ask}? Answer: {answer}.")
    return "\n".join(out)

def ledger(rng, names):
    """A small table and its sum."""
    rows = [(rng.choice(COLOURS), thing, rng.randint(2, 9)) for thing in rng.sample(THINGS, rng.randint(2, 4))]
    p, dearest = Person(rng), max(rows, key=lambda row: row[2])
    return (f"Shop of {p.name}, {p.town}\n" + "\n".join(f"{t} | {c} | {n} coins" for c, t, n in rows)
            + f"\nTotal: {sum(r[2] for r in rows)} coins. The {dearest[0]} {dearest[1]} costs most.")

def card(rng, names):
    """Fields of a person or a place, one below the other or in a row. What to write about a row, the base never sees."""
    p = Person(rng)
    if rng.random() < 0.5:
        name, fields = p.name, {"job": p.job, "town": p.town, "age": p.age, "pet": p.pet, "food": rng.choice(FOODS)}
    else:
        name, fields = rng.choice(names), facts_of_place(rng)
    fields = [f"{k}: {v}" for k, v in rng.sample(list(fields.items()), rng.randint(2, 5))]
    return rng.choice(["\n", " | "]).join([f"name: {name}"] + fields)

def echo(rng, names):
    """Words of all kinds, said twice."""
    words = " ".join(rng.choice(names) if rng.random() < 0.15 else rng.choice(ANY_WORD) for _ in range(rng.randint(5, 16)))
    p, q = Person(rng), Person(rng)
    return f"{p.name} said: {words}. {q.name} said it again: {words}."

HEADINGS = {story: "Story", place: "Guide", questions: "Questions", ledger: "List", card: "Card", echo: "Game"}

def base_texts(seed, names, shares=(0.36, 0.18, 0.2, 0.06, 0.12, 0.08)):
    """Endless documents of one part or two; half of the parts have a heading."""
    rng = random.Random(seed)
    while True:
        parts = rng.choices(list(HEADINGS), shares, k=rng.choice([1, 1, 2]))
        yield "\n".join((f"{HEADINGS[make]}: " if rng.random() < 0.5 else "") + make(rng, names) for make in parts)

# ---- the adapter's task: a row of facts -> its description
def described_row(rng, name):
    """One sample of the second task. The fields present and their order decide the text; few choices are free."""
    f = facts_of_place(rng)
    keep = ["kind"] + rng.sample([k for k in f if k != "kind"], rng.randint(3, 6))
    rng.shuffle(keep)
    f = {k: f[k] for k in keep}
    prompt = "Data: " + " | ".join([f"name: {name}"] + [f"{k}: {v}" for k, v in f.items()]) + "\nText:"
    what = an((PRICES[f["price"]] + " " if "price" in f else "") + f["kind"])
    where = ", ".join(words + f[field] for field, words in (("town", "in "), ("near", "close to the ")) if field in f)
    if where and keep[0] in ("town", "near"):  # the row starts with where it is, so the text does too
        where = where[0].upper() + where[1:]
        first = f"{where}, {rng.choice(['you can visit', 'guests enjoy'])} {what} named {name}"
    else:
        first = f"{name} is {what}" + (f" {where}" if where else "")
    if "food" in f:
        first += rng.choice([" that serves ", " with a menu of "]) + f["food"]
    welcome, liked = f.get("children") == "yes", f.get("rating", 0) > 2
    rest = {"rating": f"guests call it {RATINGS[f.get('rating', 1)]}",
            "children": "children are welcome" if welcome else "it is for adults only"}
    second = (" and " if welcome == liked else ", but ").join(rest[k] for k in keep if k in rest)
    return prompt, f" {first}." + (f" {second[0].upper()}{second[1:]}." if second else "")

def says_all(prompt, text):
    """Whether a text holds every fact of its row (not: whether it says anything else)."""
    facts = dict(part.split(": ") for part in prompt[len("Data: "):-len("\nText:")].split(" | "))
    words = {"price": PRICES, "rating": {str(n): w for n, w in RATINGS.items()}, "children": {"yes": "welcome", "no": "adults"}}
    return all(words.get(k, {}).get(v, v).lower() in text.lower() for k, v in facts.items())

# ---- tokenizer
# llama.cpp's "gpt-2" splitting, for the ASCII text used here.
WORD = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")

class Tokenizer:
    """Byte-level BPE: two special tokens, 256 bytes (written as GPT-2's printable letters), merges."""
    def __init__(self, texts):
        plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [b for b in range(256) if b not in plain]
        self.letters = {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}
        self.tokens, self.merges, self.known = [BOS, EOS, *self.letters.values()], [], {}
        words = Counter(w for t in texts for w in WORD.findall(t))
        split = {w: [self.letters[b] for b in w.encode()] for w in words}
        while len(self.tokens) < VOCAB:
            pairs = Counter()
            for w, parts in split.items():
                for pair in zip(parts, parts[1:]):
                    pairs[pair] += words[w]
            best = max(pairs, key=lambda p: (pairs[p], p))  # ties by letters, so that the result never varies
            self.merges.append(best)
            self.tokens.append("".join(best))
            split = {w: self.merge(parts, best) for w, parts in split.items()}
        self.ids = {t: i for i, t in enumerate(self.tokens)}
        self.rank = {m: i for i, m in enumerate(self.merges)}

    @staticmethod
    def merge(parts, pair):
        out, i = [], 0
        while i < len(parts):
            both = i + 1 < len(parts) and (parts[i], parts[i + 1]) == pair
            out.append(parts[i] + parts[i + 1] if both else parts[i])
            i += 2 if both else 1
        return out

    def word(self, w):
        if w not in self.known:
            parts = [self.letters[b] for b in w.encode()]
            while ranked := [p for p in zip(parts, parts[1:]) if p in self.rank]:
                parts = self.merge(parts, min(ranked, key=self.rank.get))
            self.known[w] = [self.ids[p] for p in parts]
        return self.known[w]

    def encode(self, text):
        return [i for w in WORD.findall(text) for i in self.word(w)]

    def decode(self, ids):
        back = {c: b for b, c in self.letters.items()}
        return bytes(back[c] for i in ids if i > 1 for c in self.tokens[i]).decode(errors="replace")

def pack(documents, rows=None):
    """Packs whole documents (token ids, index of the first scored token) into rows of ROW tokens.
    Returns tokens, document number per token (attention never crosses documents), and which next tokens are scored."""
    bins, full, filled = [], [], lambda b: sum(len(ids) for ids, _ in b)
    for doc in documents:
        if len(doc[0]) > ROW:
            continue
        room = next((b for b in bins if filled(b) + len(doc[0]) <= ROW), None)
        if room is None:
            bins.append(room := [])
        room.append(doc)
        if len(bins) > 16:  # close the fullest row
            full.append(bins.pop(max(range(len(bins)), key=lambda i: filled(bins[i]))))
        if rows and len(full) == rows:
            break
    full = full if rows else full + bins
    tokens, number, scored = (np.zeros((len(full), ROW), np.int32) for _ in range(3))
    for r, row in enumerate(full):
        at = 0
        for n, (ids, first) in enumerate(row):
            tokens[r, at:at + len(ids)], number[r, at:at + len(ids)] = ids, n + 1
            scored[r, at + first - 1:at + len(ids) - 1] = 1  # position i predicts token i + 1
            at += len(ids)
    return tokens, number, scored

# ---- model
LINEAR = {"attn_q": (WIDTH, WIDTH), "attn_k": (KV_HEADS * HEAD_DIM, WIDTH), "attn_v": (KV_HEADS * HEAD_DIM, WIDTH),
          "attn_output": (WIDTH, WIDTH), "ffn_gate": (FEED_FORWARD, WIDTH), "ffn_up": (FEED_FORWARD, WIDTH),
          "ffn_down": (WIDTH, FEED_FORWARD)}  # [n_out, n_in], GGUF's names
ALL = jnp.ones(LAYERS)

def new_base(rng):
    blocks = {n: rng.normal(0, (i ** -0.5) * (0.2 if n in ("attn_output", "ffn_down") else 1), (LAYERS, o, i))
              for n, (o, i) in LINEAR.items()}
    blocks |= {"attn_norm": np.ones((LAYERS, WIDTH)), "ffn_norm": np.ones((LAYERS, WIDTH))}
    model = {"token_embd": rng.normal(0, 0.05, (VOCAB, WIDTH)), "output_norm": np.ones(WIDTH), "blk": blocks}
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), model)

def new_adapter(rng):
    a = {n: rng.uniform(-1, 1, (LAYERS, RANK, i)) * i ** -0.5 for n, (_, i) in LINEAR.items()}
    b = {n: np.zeros((LAYERS, o, RANK)) for n, (o, _) in LINEAR.items()}  # zero: training starts at the base model
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), {"a": a, "b": b})

def rms_norm(x, weight):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + NORM_EPS) * weight

def rope(x):
    """Turns pairs of neighbours (2i, 2i+1), which is what llama.cpp does for this architecture: no rows to reorder."""
    angle = jnp.arange(x.shape[1])[:, None] * ROPE_BASE ** (-jnp.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    cos, sin = jnp.cos(angle)[None, :, None], jnp.sin(angle)[None, :, None]
    even, odd = x[..., 0::2], x[..., 1::2]
    return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)

def logits_of(model, adapter, layer_scales, tokens, number):
    """layer_scales: one strength per layer for the adapter, so that boundaries can be measured."""
    rows, length = tokens.shape
    group = HEADS // KV_HEADS
    seen = (number[:, :, None] == number[:, None, :]) & jnp.tril(jnp.ones((length, length), bool))
    mask = jnp.tile(jnp.where(seen, 0.0, -1e9), (1, group, 1))[:, None]

    def layer(x, parts):
        w, lora, strength = parts
        def linear(name, x):
            y = x @ w[name].T
            return y if lora is None else y + (strength * ALPHA / RANK) * ((x @ lora["a"][name].T) @ lora["b"][name].T)
        h = rms_norm(x, w["attn_norm"])
        q = rope(linear("attn_q", h).reshape(rows, length, HEADS, HEAD_DIM))
        k = rope(linear("attn_k", h).reshape(rows, length, KV_HEADS, HEAD_DIM))
        v = linear("attn_v", h).reshape(rows, length, KV_HEADS, HEAD_DIM)
        # Each key serves a group of queries: put the groups below one another, so that it is one product per key head.
        q = q.reshape(rows, length, KV_HEADS, group, HEAD_DIM).transpose(0, 2, 3, 1, 4).reshape(rows, KV_HEADS, -1, HEAD_DIM)
        k, v = k.transpose(0, 2, 1, 3), v.transpose(0, 2, 1, 3)
        weights = jax.nn.softmax(jnp.einsum("bkqd,bksd->bkqs", q, k) * HEAD_DIM ** -0.5 + mask, -1)
        y = jnp.einsum("bkqs,bksd->bkqd", weights, v).reshape(rows, KV_HEADS, group, length, HEAD_DIM)
        x = x + linear("attn_output", y.transpose(0, 3, 1, 2, 4).reshape(rows, length, WIDTH))
        h = rms_norm(x, w["ffn_norm"])
        return x + linear("ffn_down", jax.nn.silu(linear("ffn_gate", h)) * linear("ffn_up", h)), None

    # A layer's inner values are computed again for the gradient: faster here than to store them all.
    x, _ = jax.lax.scan(jax.checkpoint(layer), model["token_embd"][tokens], (model["blk"], adapter, layer_scales))
    return rms_norm(x, model["output_norm"]) @ model["token_embd"].T

@jax.jit
def token_losses(model, adapter, layer_scales, tokens, number, scored):
    logits = logits_of(model, adapter, layer_scales, tokens, number)[:, :-1]
    return (jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, tokens[:, 1:, None], -1)[..., 0]) * scored[:, :-1]

def mean_loss(model, adapter, batch):
    return token_losses(model, adapter, ALL, *batch).sum() / batch[2].sum()

# ---- training
def orthogonal(g):
    """Muon's step for a stack of matrices: five Newton-Schulz steps towards the nearest orthogonal matrix."""
    def one(g):
        x = g.T if g.shape[0] > g.shape[1] else g
        x = x / (jnp.linalg.norm(x) + 1e-7)
        for _ in range(5):
            s = x @ x.T
            x = 3.4445 * x + (-4.7750 * s + 2.0315 * s @ s) @ x
        return (x.T if g.shape[0] > g.shape[1] else x) * max(1, g.shape[0] / g.shape[1]) ** 0.5
    return jax.lax.map(one, g)

def trainer(loss, is_matrix, matrix_rate, rate):
    """One training step. Muon for the base model's matrices, because it learns from far fewer tokens, Adam for the rest."""
    def step(weights, state, frozen, batch, t, schedule):
        value, grads = jax.value_and_grad(loss)(weights, frozen, batch)
        clip = jnp.minimum(1.0, 1.0 / (jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(grads))) + 1e-9))

        def update(path, w, g, s):
            g, (m, v) = g * clip, s
            if is_matrix(path):
                m = 0.95 * m + g
                return w * (1 - 0.1 * matrix_rate * schedule) - matrix_rate * schedule * orthogonal(g + 0.95 * m), (m, v)
            m, v = 0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g * g
            return w - rate * schedule * (m / (1 - 0.9 ** t)) / (jnp.sqrt(v / (1 - 0.98 ** t)) + 1e-8), (m, v)

        both = jax.tree_util.tree_map_with_path(update, weights, grads, state)
        return *(jax.tree.map(lambda _, x: x[i], weights, both) for i in (0, 1)), value
    return jax.jit(step, donate_argnums=(0, 1))

def train(label, step, weights, frozen, data, batch_rows, first=0):
    """One pass: no row is seen twice. The first rows in their order, the others shuffled. Warm-up, then a straight line down."""
    order = np.r_[:first, first + np.random.default_rng(SEED).permutation(len(data[0]) - first)]
    steps, start, recent = len(order) // batch_rows, time.time(), []
    state = jax.tree.map(lambda w: (jnp.zeros_like(w), jnp.zeros_like(w)), weights)
    for t in range(1, steps + 1):
        rows = order[(t - 1) * batch_rows:t * batch_rows]
        schedule = min(1.0, t / (0.05 * steps)) * min(1.0, 1.02 - t / steps)
        weights, state, value = step(weights, state, frozen, [x[rows] for x in data], float(t), schedule)
        recent.append(float(value))
        if t % max(1, steps // 20) == 0:
            print(f"  {label} {t}/{steps}: loss {np.mean(recent):.3f}, {time.time() - start:.0f} s", flush=True)
            recent = []
    return weights, time.time() - start

def evaluate(model, adapter, data, scales=ALL):
    """Mean loss per scored token."""
    return np.asarray(token_losses(model, adapter, scales, *data), np.float64).sum() / data[2].sum()

def generate(model, adapter, tokenizer, prompt):
    """Greedy, without a cache: the model is small."""
    ids = [0] + tokenizer.encode(prompt)
    start, step = len(ids), jax.jit(logits_of)
    while len(ids) < ROW and ids[-1] != 1:
        padded = np.zeros((1, ROW), np.int32)
        padded[0, :len(ids)] = ids
        ids.append(int(np.argmax(step(model, adapter, ALL, padded, (padded * 0 + 1))[0, len(ids) - 1])))
    return tokenizer.decode(ids[start:])

# ---- GGUF
def write_gguf(path, kind, name, text, values, tensors):
    w = gguf.GGUFWriter(path, "llama")
    values = {"type": kind, "name": name, "description": text, "author": "the lora-boundary project", "license": "MIT", **values}
    for key, value in values.items():
        getattr(w, f"add_{key}")(value)
    if kind == "adapter":
        w.add_string("adapter.type", "lora")
        w.add_float32("adapter.lora.alpha", ALPHA)
    for tensor, value in tensors.items():
        w.add_tensor(tensor, np.asarray(value, np.float32 if "norm" in tensor else np.float16))
    for finish in (w.write_header_to_file, w.write_kv_data_to_file, w.write_tensors_to_file, w.close):
        finish()

def write_base(path, model, tokenizer):
    tensors = {"token_embd.weight": model["token_embd"], "output_norm.weight": model["output_norm"]}  # token_embd is the head too
    tensors |= {f"blk.{i}.{name}.weight": stack[i] for i in range(LAYERS) for name, stack in model["blk"].items()}
    write_gguf(path, "model", "lora-boundary demo base", "A tiny llama trained from scratch on generated texts, for a demo only", {
        "file_type": gguf.LlamaFileType.MOSTLY_F16, "block_count": LAYERS, "context_length": 512, "embedding_length": WIDTH,
        "feed_forward_length": FEED_FORWARD, "head_count": HEADS, "head_count_kv": KV_HEADS, "rope_dimension_count": HEAD_DIM,
        "rope_freq_base": ROPE_BASE, "layer_norm_rms_eps": NORM_EPS, "vocab_size": VOCAB, "tokenizer_model": "gpt2",
        "tokenizer_pre": "gpt-2", "token_list": tokenizer.tokens,
        "token_types": [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * (VOCAB - 2),
        "token_merges": [" ".join(m) for m in tokenizer.merges],
        "bos_token_id": 0, "eos_token_id": 1, "add_bos_token": True, "add_eos_token": False}, tensors)

def write_adapter(path, adapter):
    tensors = {f"blk.{i}.{name}.weight.lora_{part}": adapter[part][name][i] for i in range(LAYERS) for name in LINEAR for part in "ab"}
    write_gguf(path, "adapter", "lora-boundary demo adapter",
               "LoRA of the demo base: a row of facts about a place -> its description", {}, tensors)

# ---- all of it
def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a smoke test: 1/20 of the training")
    options.add_argument("--out", help="folder for the three files (default: this folder; with --quick a temporary one)")
    options = options.parse_args()
    out = options.out or (tempfile.mkdtemp() if options.quick else os.path.dirname(os.path.abspath(__file__)))
    base_rows, adapter_rows = (625, 240) if options.quick else (12500, 4800)
    begun = time.time()

    # The base's texts. Held-out ones come from another seed, and none of them is a training text.
    names, held_names = place_names()
    texts, seen = base_texts(SEED + 1, names), set()
    tokenizer = Tokenizer([next(texts) for _ in range(4000)])
    as_document = lambda text: ([0, *tokenizer.encode(text), 1], 1)  # noqa: E731
    base_data = pack((seen.add(text) or as_document(text) for text in texts), base_rows)
    # A fifth more comes first: nothing but echoes. The model then learns within 200 steps to look back and copy, which the
    # other texts alone had not taught it after 1200 steps (it wrote fluent stories that mixed up who and what they were about).
    echoes = pack(map(as_document, base_texts(SEED + 6, names, (0, 0, 0, 0, 0, 1))), base_rows // 5)
    base_data = [np.concatenate(x) for x in zip(echoes, base_data)]
    base_held = pack((as_document(text) for text in base_texts(SEED + 2, names) if text not in seen), 200)
    print(f"vocabulary {len(tokenizer.tokens)} tokens, {len(tokenizer.merges)} merges; base text: {len(seen)} documents, "
          f"{base_data[2].sum()} scored tokens in {len(base_data[0])} rows, echoes included; {time.time() - begun:.0f} s", flush=True)

    def scored_ids(prompt, completion, end):
        prompt = [0, *tokenizer.encode(prompt)]
        return [*prompt, *tokenizer.encode(completion), *end], len(prompt)
    step = trainer(lambda w, _, batch: mean_loss(w, None, batch), lambda p: p[0].key == "blk" and p[1].key in LINEAR, 0.02, 4e-3)
    model, base_seconds = train("base", step, new_base(np.random.default_rng(SEED)), None, base_data, 12, base_rows // 5)
    # From here on the model is what the file holds: the adapter is trained on it, and every figure is of it.
    f16 = lambda tree: jax.tree.map(lambda x: x.astype(jnp.float16).astype(jnp.float32) if x.ndim > 2 else x, tree)  # noqa: E731
    model["blk"], model["token_embd"] = f16(model["blk"]), model["token_embd"].astype(jnp.float16).astype(jnp.float32)

    # What the model must beat: counts of tokens, and of pairs of tokens, both from the training text.
    pairs_of = lambda data: (data[0][:, :-1][data[2][:, :-1] > 0], data[0][:, 1:][data[2][:, :-1] > 0])  # noqa: E731
    follow, (here, after) = np.full((VOCAB, VOCAB), 0.01), pairs_of(base_held)
    np.add.at(follow, pairs_of([x[base_rows // 5:] for x in base_data]), 1)
    count = follow.sum(0)
    print(f"held-out base text, {len(after)} tokens, nats per token: unigram {-np.log(count / count.sum())[after].mean():.3f}, "
          f"bigram {-np.log(follow / follow.sum(1, keepdims=True))[here, after].mean():.3f}, "
          f"this model {evaluate(model, None, base_held):.3f}", flush=True)
    asked = [text.rpartition("Answer:") for text in (questions(random.Random(SEED + i), names) for i in range(300))]
    asked = pack(scored_ids(a + b, c[:-1], []) for a, b, c in asked)
    print(f"  questions about held-out text: {evaluate(model, None, asked):.3f} nats per token of the answer", flush=True)
    print("  the base goes on from 'Once there was':" + generate(model, None, tokenizer, "Once there was"))

    # The second task. The completion is scored, and in training the end token too: the adapter learns to stop.
    rng, held_rng = random.Random(SEED + 3), random.Random(SEED + 4)
    samples = [(name, *described_row(held_rng, name)) for name in held_names]
    task_data = pack((scored_ids(*described_row(rng, rng.choice(names)), [1]) for _ in iter(int, 1)), adapter_rows)
    task_held = pack([scored_ids(p, c, []) for _, p, c in samples])
    step = trainer(lambda w, frozen, batch: mean_loss(frozen, w, batch), lambda p: False, 0, 3e-3)
    adapter, adapter_seconds = train("adapter", step, new_adapter(np.random.default_rng(SEED + 5)), model, task_data, 8)
    adapter = f16(adapter)

    with open(os.path.join(out, "demo-samples.jsonl"), "w", encoding="utf-8") as f:
        for name, prompt, completion in samples:
            f.write(json.dumps({"prompt": prompt, "completion": completion, "group": name}) + "\n")
    write_base(os.path.join(out, "demo-base.gguf"), model, tokenizer)
    write_adapter(os.path.join(out, "demo-adapter.gguf"), adapter)

    curve = [evaluate(model, adapter, task_held, jnp.arange(LAYERS) < b) for b in range(LAYERS + 1)]
    print(f"{SAMPLES} held-out samples, {task_held[2].sum()} scored tokens, nats per token: base {curve[0]:.4f}, adapter {curve[-1]:.4f}")
    for b, value in enumerate(curve):
        print(f"  upto:{b:<2} {value:.4f}  retention {(curve[0] - value) / (curve[0] - curve[-1]):+.3f}")
    for _, prompt, completion in samples[:3]:
        print(f"  {prompt}\n    sample: {completion}\n    adapter:{generate(model, adapter, tokenizer, prompt)}\n"
              f"    base:   {generate(model, None, tokenizer, prompt)!r}")
    right = sum(says_all(p, generate(model, adapter, tokenizer, p)) for _, p, _ in samples[:40])
    print(f"of the first 40 samples' rows, the adapter's own text says every fact of {right}")
    for name in ("demo-base.gguf", "demo-adapter.gguf", "demo-samples.jsonl"):
        print(f"{name}: {os.path.getsize(os.path.join(out, name))} bytes")
    print(f"training: base {base_seconds:.0f} s, adapter {adapter_seconds:.0f} s, all {time.time() - begun:.0f} s; files in {out}")

if __name__ == "__main__":
    main()
