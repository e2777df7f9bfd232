"""Tell a measured result from the other numbers of a sentence, by the words around it.

A result is what an experiment gave: an error, an accuracy, a loss, a speed, a size, 'x of y', 'n times as',
a percentage. A setting, the gear, money, an everyday count or time is none, and neither is what a sentence
asks, supposes or hopes for. The first rule that fits decides. `tests/sentences.tsv` says what is what.
"""
import re

any_of = lambda words: r"\b(?:" + " ".join(words.split()).replace(", ", "|") + r")\b"
far = lambda words: rf"(?=.*{any_of(words)})" # anywhere in the sentence
lacks = lambda words: rf"(?!.*{any_of(words)})"

N = "«[^»]*»" # the number that is judged
TO = r"(?: ?(?:to|and|or|–|-|±|/|,) ?[-+−]?[\d.,]*\d)?" # and a second one, of the same unit
FILL = (r"(?: (?:is|are|was|were|of|to|at|with|by|rate|factor|from|for|about|only|just|now|then|over|around|"
        r"an?|the|=))*")
TIME = r"(?:ms|s|secs?|seconds?|milliseconds?|minutes?|mins?|hours?|h|days?)\b"
SIZE = r"(?:[kmgt]i?b|(?:kilo|mega|giga)bytes?|kwh)\b"
RATE = rf"{N}{TO} (?:\w+ )?(?:per|a|/) ?(?:s|sec|second|minute)\b"
PART = (r"«(?:\w+ )?(?:hal(?:f|ves)|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth)s?»")
COMPARED = any_of("as, more, less, fewer, faster, slower, quicker, cheaper, shorter, longer, better, worse, "
                  "smaller, larger, higher, lower")

# of a model
METRIC = r"""
    accurac(?:y|ies), acc, loss(?:es)?, errors?(?! bars?| codes?| messages?), error[ _]rates?, f1, auc,
    roc, auroc, rmse, mae, mse, mape, iou, bleu, rouge, wer, cer, precision, recall, sensitivity,
    specificity, perplexity, dice, scor(?:es?|ed|ing), correlat\w+, p[- ]values?, deviations?, spread,
    confidence, variance, norm, gap, agreement, throughput, speed-?ups?, latency, r²|r2,
    \w+_(?:loss|acc|accuracy|error|score|rate)"""
# what was said of the items that a model was shown
WRONG = r"""
    wrong(?:ly)?, right, correct(?:ly)?, misclassified, misread, missed, fooled, recogni[sz]ed, caught,
    noticed, understood, taken for, mislabel\w+, invented, rejected, confused"""
# what the model did to them
FOUND = r"""
    mislabel\w+, missed, misses, fooled, recogni[sz]ed, caught, mistook, confused, misclassified, detected,
    flagged, failed on"""
# how a result came about
JUDGED = rf"""
    {WRONG}, {FOUND}, incorrect(?:ly)?, mistakes?, confuses, false \w+, recogni[sz]es?, hits?, detects,
    identif(?:ies|ied), classif(?:ies|ied), predict(?:s|ed|ions?), failed, fails, passed, flags,
    transcribed, answers?, named, sure, learned"""
CAME = r"""
    got, gets?, gave, gives, reach(?:es|ed), achiev\w+, obtain\w+, ended, ends, came, measured, fitted,
    rose, rises, fell, falls, drop(?:s|ped), climb(?:s|ed), grew, improv\w+, gain(?:s|ed), los(?:t|es),
    went, goes (?:up|down), lower(?:s|ed), rais(?:es|ed), reduc\w+, shr[aiu]nk, halv(?:es|ed),
    doubl(?:es|ed), tripl(?:es|ed), exploded, peaked, settled, flattens, brought, looks?, beats?, better,
    worse, faster, slower, smaller, larger, below, above, before, after, without, was, were, is, had, has"""
# what takes time on a computer
LEARNS = r"""
    epochs?, training, trains, trained, inference, batch(?:es)?, predictions?, load(?:s|ing), cells?,
    notebook, script, builds?, steps?, cache, each, memory, folds, gpu, cpu, model, network, net,
    fine-?tun\w+, weights, import(?:s|ing)?, forward, backward, images?, pictures?, extraction, search,
    query, run"""
# what has a size that was measured
TAKES = r"""
    takes?, took, needs?, needed, ran, runs, lasted, within, trained, per, instead, faster, slower,
    finished, from, time"""
THING = r"""
    models?, net(?:work)?s?, weights, checkpoints?, files?, data ?sets?, memory use, used, peaked,
    shr[aiu]nk, weighs?, grew, crashed, embeddings?, archive, energy, run"""
# what people do in everyday life
DOES = r"""
    made, fixed, slept, walk\w*, wait\w*, watched, read, took, spent, drove, bought, paid, worked, lives?,
    said, tried, labelled, collected, use, set, split, hold, keep, count\w*, answered, solved, finished,
    wrote, chose, need, agree\w*, attended, visited, met, ate, got up, put, open, click, move"""
LIFE = rf"""
    (?:i|we|you|he|she|they|who|us)(?: (?:have|had|also|only|then|just))? {any_of(DOES)},
    (?<!epoch )(?<!training )(?:took|takes|taken) me, my (?:daughter|son|phone|router|coffee|code|desk),
    my friends, call, wait, press, click, put, drag, exercise \d+, i am {N} sure"""
# what a person sets; the number follows
PARAMETER = r"""
    batch(?:es)?(?: size)?s?, learning rates?, lr, momentum, weight decay, dropout, thresholds?, seeds?,
    timeout, temperature, kernels?(?: size)?, strides?, padding, sizes?, epsilon, patience, [pkn], alpha,
    beta, gamma, degree, depth, port, sections?, lines?, minus, between, scale, sum(?: of .{,30})?, divide,
    multiply, add, exit code, default, stopping(?: after)?, error code, versions?, chapters?, apartment"""
# of what a person sets the number; it goes before
CHOSEN = r"""
    epochs?, layers?, filters?, units, neurons, heads, channels, outputs, inputs, classes, kinds?, terms,
    folds?, seeds?, pixels?, px, items, hidden, convolutional, dense, models, networks, cells, cores,
    decimals?, bits?, arguments, examples, ways, breeds, photocells, sockets"""
# which no experiment gave
OTHER_SHARES = r"""
    tax, vat, discount, rent, prices?, salary, interest, battery, zoom, width, height, volume,
    hold(?:s|ing)?(?: \w+)? (?:back|out), set aside, keep, split, reserve, students, rain, humidity,
    chapters, for (?:validation|training|testing|the test), pages, lessons, exercises, crop, cut, dropout,
    soap, water, alcohol, asleep, hour, hours, video, sale, use, hides?, flips?, erases?, masks?, of us,
    hand"""
# with these it is one of a model all the same
MEANT = f"{METRIC}, {JUDGED}, epochs?, training, model, network, the time"
ASKED = r"imagine, suppose, assume, say (?:a|that), let(?: us|.?s), what (?:if|does), think of, picture a"
HOPED = r"""
    would mean, hope to, want to, aim(?:s|ed)? (?:for|at), goal, whether, plan to, by definition,
    would be (?:great|fine|nice|good|enough|perfect)"""
ORDERS = r"""
    set, normali[sz]e, pick, choose, use, try, type, write, add, subtract, divide, multiply, resize, crop,
    keep, split, take, wait, press, call, sort, drop, mix, bake, run, open, click"""
PAST = "got, gets?, reached, was, were, gave, fell, rose, had, ended, made"
MONEY = any_of("dollars?, euros?, pounds?, cents?, francs?")
LINES = "screen, monitor, refresh(?:es)?, internet, wi-?fi, router, connection"

FORMS = [ # origin of a number, None for a result; what a sentence begins with that has it
    ("supposed", r".*\?\W*$"),
    ("supposed", rf"\W*{any_of(ASKED)}|.*{any_of(HOPED)}"),
    ("supposed", rf".*\bif {N}|\W*if {lacks(PAST)}"),
    ("supposed", r".*(?<!than )(?<!above )(?<!over )\bchance (?:level|gives|would|alone)\b"),
    ("supposed", r".*\bcoin (?:gets?|has|would get)\b(?!.*\b(?:ours|but|and)\b)"),
    ("setting", rf"\W*{any_of(ORDERS)}{lacks(PAST)}"),
    ("everyday", rf".*{any_of('quiz, exam, homework, school')}"),
    ("money", rf"{lacks(METRIC)}"
              rf"(?:.*[$€£¥] ?{N}|.*[$€£¥][\d.,]+[-–/]\D?{N}|.*{N}{TO} ?(?:[$€£¥]|{MONEY}))"),
    ("gear", rf".*{any_of(LINES)}.*{N}|.*{N}{TO} ?(?:mbit|gbit|[kg]?hz|dpi)"),
    ("setting", rf".*{any_of(PARAMETER)}{FILL}[\s`:(=|]*{N}(?! ?(?:wrong|mistakes|misses)\b)"),
    ("setting", rf".*\b(?:random|last|first|latest|remaining) {PART}{lacks('wrong, right')}"),
    ("everyday", rf".*\bnam(?:es|ed) {N} \w+\b.*\bfor (?:each|every)\b{lacks(WRONG)}"),
    ("setting", rf".*\bmay be off by {N}|.*{N} interval|.*\bdeviation «[01]»"),
    ("setting", rf".*\berror {N}$|.*\berror «\d{{1,3}}»|.*-fold» (?:cross|validation)"),
    # shares and multiples
    ("everyday", r"(?=.*«[^»]*(?:%|‰|cent|points?|half|third|quarter|twice|times| of | in ))"
                 rf"{far(OTHER_SHARES)}{lacks(MEANT)}"),
    ("everyday", rf".*{N} (?:a sleep|asleep|an hour|a day|of (?:soap|water))"),
    (None, r".*«[^»]*(?:%|‰|per ?cent|percentage points?|[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]|-?fold)»"),
    (None, rf".*{N}[ -](?:points|percent|per cent)\b"),
    (None, rf".*\btook (?:it|(?:the|our|my) \w+) {N} (?:epochs|steps|examples|updates)\b"),
    (None, rf".*\b(?:off|out|wrong) by{FILL} {N}"),
    (None, r".*\b(?:raised|brought|lifted|pushed|improved|lowered|cut|took|got) (?:it|that|this|us|them) "
           rf"(?:up |down )?(?:from .*)?to {N}"),
    (None, rf"(?=.*«[^»]* (?:of|in|out of) [^»]*»){lacks(LIFE)}"),
    (None, rf"(?=.*{PART}){far(f'{METRIC}, {JUDGED}, {THING}, labels, neurons, units, filters')}"),
    (None, rf"(?=.*{PART})(?=.*\b(?:forgotten|the (?:original|(?:training )?(?:time|memory|speed)))\b)"),
    (None, rf".*«[^»]*times» (?:that|those|its|their|the|{COMPARED})\b{lacks('said, read')}"),
    (None, rf".*{N} ?(?:[x×]|times) {COMPARED}|.*\bfactor of (?:about )?{N}|.*«(?:twice|thrice)» (?:as|the)"),
    (None, r"(?=.*«(?:halved|doubled|tripled|quadrupled|every second)»)"
           rf"{far(f'{METRIC}, {JUDGED}, training, memory')}"),
    # times, speeds and sizes
    ("gear", rf"(?=.*{RATE}){far('allows, limit, camera, microphone, sensor, api')}"),
    (None, rf".*{RATE}|.*{N} (?:fps|\w+/s)\b"),
    (None, rf"{lacks(LIFE)}.*(?:{N}{TO} ?(?:ms|milliseconds)\b|measured {N}|"
           rf"«\d+\.\d+»{TO} ?(?:s|secs?|seconds)\b)"),
    (None, rf"(?=.*{N}{TO}[ -]?{TIME}|.*{N}\.?$){far(f'{LEARNS}, latency, time')}{far(TAKES)}{lacks(LIFE)}"
           rf"(?!.*{N} (?:epochs|models))"),
    (None, rf"(?=.*{N}{TO}[ -]?{SIZE}){far(f'{THING}, training, it needs, takes')}"
           rf"{lacks(f'disk space, install, free, {LIFE}')}"),
    (None, rf".*{N} (?:million |billion )?(?:parameters|weights)\b"),
    ("everyday", rf".*{N}{TO}[ -]?(?:{TIME}|{SIZE}|weeks?|evenings?|months?|years?|km|cm|metres?|m|inch|"
                 r"megapixels)\b"),
    ("everyday", rf"{lacks(METRIC)}.*{N}{TO} ?(?:kg|grams?|g|litres?)\b"),
    # what was counted of right and wrong, and the metrics
    ("everyday", rf".*{N} (?:main |common )?(?:kinds|errors .*are|.*\bmust be)\b"),
    ("everyday", rf".*{any_of(LIFE)}"),
    (None, rf".*{any_of(METRIC)}{FILL}[\s:=]*{N}(?! ?(?:minus|means|would|classes|terms|items|−))"),
    ("setting", rf".*{N}{TO}[ -]?{any_of(CHOSEN)}(?!.*{any_of('wrong, right, converge[sd]?')}| left)"
                rf"(?!.*after)(?<!learned)"),
    (None, rf"\W*(?:out )?of (?:an? |the |all |my |our )?[\w,]+ (?:[\w-]+,? ){{1,4}}.*{N}"),
    (None, rf".*{N} (?:\w+ ){{,5}}?{any_of(WRONG)}"),
    (None, rf".*{any_of(FOUND)} (?:\w+ ){{,2}}?{N}(?! (?:ways|reasons|things|explanations))"),
    (None, rf".*{any_of('converge[sd]?, learned')}.*\b(?:after|in|within) {N}"),
    (None, rf".*{N} (?:more |further )?(?:\w+ ){{,2}}?{any_of('errors, mistakes, misses, false, points')}"
           rf"(?!.*{any_of('kinds of, my code')})"),
    ("setting", rf".*{N}{TO}[ -]?{any_of(CHOSEN)}"),
    (None, rf".*\bgot {N} of (?:them|the|these|those)\b"),
    (None, rf"{far(JUDGED)}.*\b(?:got|in|of|caught|and|,) {N} (?:cases|photographs|pictures|cats|of)\b"),
    (None, rf".*{any_of(JUDGED)}{FILL}[\s:=](?:in |on |after )?\W*{N}"),
    (None, rf"(?=.*{any_of(METRIC)}.*{any_of(CAME)}.*{N})"
           rf"(?!.*{N} (?!grams?|points?|after|in|on|of|for|and|with|left)[a-z]{{2,}})"),
    (None, r".*«[-+−]?\d*\.\d+»"),
]
CODED = [ # the same in code and in formulas
    (None, r".*«\d+» (?:out )?of \d+|.*\b\d+ (?:out )?of «\d+»"),
    ("code", r"(?!.*«[^»]*(?:\.\d|%)|.*«[^»]*» ?\\?%)"), # it has no decimals
    (None, rf".*(?:{any_of(METRIC)}|\b(?:l|err|e))(?:_\w+)?\W*(?:=|:|≈|approx|is)\s*«"),
    ("code", r".*\b(?:eta|alpha|beta|gamma|lambda|sigma|epsilon|[pkn]|lr|wd|moms?|\w+_\w+) ?[=:]\s*«"),
    (None, r"(?=.*(?:`«[^»]*»`|\$[^$]*[=:][^$]*«))"
           rf"{far(f'fitted, measured, got, reached, ended, ends, {METRIC}')}"),
]
IN_PROSE, IN_CODE = ([(origin, re.compile(pattern, re.DOTALL)) for origin, pattern in forms]
                     for forms in (FORMS, CODED))


def verdict(
    sentence:str, # on one line; its code and formulas included for a number in one
    start:int, # where the number starts
    end:int, # and where it ends
    in_code:bool=False, # or in a formula
) -> str|None: # its origin, None for a result
    "Say what a number of a sentence is."
    marked = f"{sentence[:start]}«{sentence[start:end].strip()}»{sentence[end:]}".lower()
    rules, other = (IN_CODE, "code") if in_code else (IN_PROSE, "everyday")
    return next((origin for origin, pattern in rules if pattern.match(marked)), other)
