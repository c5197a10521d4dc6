/* A parallel language whose word alignment is known: sentences after English from a small grammar, with their
 * translation after French, built side by side.
 *
 * What a translator has to learn, all of it by rule: the modifiers of a noun follow it, the last one first; articles,
 * adjectives and verbs agree with a noun that may stand far off; adverbs move behind the verb; one word becomes two
 * (not: ne ... pas; rejected: a rejeté; security: de sécurité) or two one (will sleep: dormira; of the: du); an
 * article's form depends on the next word (l', cet). */
#include <stdio.h>
#include <string.h>

#include "data/generate_private.h"

/* ---- word forms ---- */

enum { WORD = 32 };

typedef struct {
    const char *end, *becomes;
} rule;

/* The first rule whose `end` ends the word. The last ones fit any. */
static const rule en_s[] = {{"ss", "sses"}, {"sh", "shes"}, {"ch", "ches"}, {"x", "xes"}, {"ay", "ays"},
                            {"ey", "eys"},  {"oy", "oys"},  {"uy", "uys"},  {"y", "ies"}, {"", "s"}};
static const rule en_ed[] = {{"e", "ed"}, {"y", "ied"}, {"", "ed"}};
static const rule fr_plural[] = {{"al", "aux"}, {"eau", "eaux"}, {"s", "s"}, {"x", "x"}, {"", "s"}};
static const rule fr_feminine[] = {{"e", "e"},    {"eux", "euse"}, {"if", "ive"},    {"en", "enne"}, {"el", "elle"},
                                   {"er", "ère"}, {"et", "ète"},   {"anc", "anche"}, {"ic", "ique"}, {"", "e"}};
static const rule fr_present[] = {{"er", "e"}, {"", ""}}, fr_presents[] = {{"er", "ent"}, {"", ""}},
                  fr_participle[] = {{"er", "é"}, {"", ""}};

static void copy(const char *word, char out[WORD]) {
    size_t n = strlen(word);
    RV_ASSERT(n < WORD);
    memcpy(out, word, n + 1);
}

static void inflect(const char *word, const rule *r, char out[WORD]) {
    size_t n = strlen(word), k;
    while ((k = strlen(r->end)) > n || strcmp(word + n - k, r->end)) r++;
    RV_ASSERT(n - k + strlen(r->becomes) < WORD);
    memcpy(out, word, n - k);
    copy(r->becomes, out + n - k);
}

/* ---- lexicon ---- */

enum { PERSON = 1, GROUP = 2, MATTER = 4, OBJECT = 8, PLACE = 16, ANY = 31 };

typedef struct {
    const char *en, *fr;
    int class;
    bool feminine;
    const char *en_plural; /* where the rule fails */
} noun;

/* A lexicon, several words a line. */
/* clang-format off */
enum { M, F };
static const noun nouns[] = {
    {"man", "homme", PERSON, M, "men"}, {"woman", "femme", PERSON, F, "women"}, {"child", "enfant", PERSON, M, "children"},
    {"student", "étudiant", PERSON, M}, {"teacher", "professeur", PERSON, M}, {"doctor", "médecin", PERSON, M},
    {"minister", "ministre", PERSON, M}, {"president", "président", PERSON, M}, {"journalist", "journaliste", PERSON, M},
    {"farmer", "agriculteur", PERSON, M}, {"worker", "ouvrier", PERSON, M}, {"lawyer", "avocat", PERSON, M},
    {"artist", "artiste", PERSON, M}, {"neighbour", "voisin", PERSON, M}, {"girl", "fille", PERSON, F}, {"boy", "garçon", PERSON, M},
    {"engineer", "ingénieur", PERSON, M}, {"citizen", "citoyen", PERSON, M}, {"baker", "boulanger", PERSON, M},
    {"sister", "sœur", PERSON, F}, {"brother", "frère", PERSON, M}, {"mother", "mère", PERSON, F}, {"father", "père", PERSON, M},
    {"friend", "ami", PERSON, M}, {"judge", "juge", PERSON, M}, {"nurse", "infirmière", PERSON, F}, {"tourist", "touriste", PERSON, M},
    {"dancer", "danseuse", PERSON, F}, {"queen", "reine", PERSON, F}, {"traveller", "voyageur", PERSON, M},
    {"commission", "commission", GROUP, F}, {"parliament", "parlement", GROUP, M}, {"council", "conseil", GROUP, M},
    {"government", "gouvernement", GROUP, M}, {"bank", "banque", GROUP, F}, {"company", "entreprise", GROUP, F},
    {"party", "parti", GROUP, M}, {"union", "syndicat", GROUP, M}, {"agency", "agence", GROUP, F}, {"ministry", "ministère", GROUP, M},
    {"committee", "comité", GROUP, M}, {"court", "tribunal", GROUP, M}, {"university", "université", GROUP, F},
    {"army", "armée", GROUP, F}, {"assembly", "assemblée", GROUP, F}, {"association", "association", GROUP, F},
    {"institute", "institut", GROUP, M}, {"team", "équipe", GROUP, F}, {"authority", "autorité", GROUP, F}, {"plan", "plan", MATTER, M},
    {"law", "loi", MATTER, F}, {"agreement", "accord", MATTER, M}, {"policy", "politique", MATTER, F}, {"reform", "réforme", MATTER, F},
    {"decision", "décision", MATTER, F}, {"area", "zone", MATTER, F}, {"market", "marché", MATTER, M}, {"project", "projet", MATTER, M},
    {"budget", "budget", MATTER, M}, {"treaty", "traité", MATTER, M}, {"proposal", "proposition", MATTER, F},
    {"report", "rapport", MATTER, M}, {"strategy", "stratégie", MATTER, F}, {"programme", "programme", MATTER, M},
    {"system", "système", MATTER, M}, {"model", "modèle", MATTER, M}, {"rule", "règle", MATTER, F},
    {"initiative", "initiative", MATTER, F}, {"measure", "mesure", MATTER, F}, {"contract", "contrat", MATTER, M},
    {"tax", "impôt", MATTER, M}, {"study", "étude", MATTER, F}, {"idea", "idée", MATTER, F}, {"solution", "solution", MATTER, F},
    {"car", "voiture", OBJECT, F}, {"table", "table", OBJECT, F}, {"book", "livre", OBJECT, M}, {"chair", "chaise", OBJECT, F},
    {"door", "porte", OBJECT, F}, {"bag", "sac", OBJECT, M}, {"bicycle", "vélo", OBJECT, M}, {"box", "boîte", OBJECT, F},
    {"shirt", "chemise", OBJECT, F}, {"hat", "chapeau", OBJECT, M}, {"lamp", "lampe", OBJECT, F}, {"bottle", "bouteille", OBJECT, F},
    {"knife", "couteau", OBJECT, M, "knives"}, {"ball", "ballon", OBJECT, M}, {"coat", "manteau", OBJECT, M},
    {"boat", "bateau", OBJECT, M}, {"window", "fenêtre", OBJECT, F}, {"clock", "horloge", OBJECT, F},
    {"umbrella", "parapluie", OBJECT, M}, {"key", "clé", OBJECT, F}, {"dress", "robe", OBJECT, F}, {"tool", "outil", OBJECT, M},
    {"mirror", "miroir", OBJECT, M}, {"toy", "jouet", OBJECT, M}, {"machine", "machine", OBJECT, F}, {"carpet", "tapis", OBJECT, M},
    {"blanket", "couverture", OBJECT, F}, {"basket", "panier", OBJECT, M}, {"house", "maison", PLACE, F}, {"station", "gare", PLACE, F},
    {"city", "ville", PLACE, F}, {"street", "rue", PLACE, F}, {"garden", "jardin", PLACE, M}, {"school", "école", PLACE, F},
    {"hospital", "hôpital", PLACE, M}, {"hotel", "hôtel", PLACE, M}, {"village", "village", PLACE, M}, {"office", "bureau", PLACE, M},
    {"church", "église", PLACE, F}, {"museum", "musée", PLACE, M}, {"park", "parc", PLACE, M}, {"restaurant", "restaurant", PLACE, M},
    {"library", "bibliothèque", PLACE, F}, {"factory", "usine", PLACE, F}, {"forest", "forêt", PLACE, F}, {"bridge", "pont", PLACE, M},
    {"airport", "aéroport", PLACE, M}, {"island", "île", PLACE, F},
};

/* What may stand before an English noun, by rank from the left: judgement, colour, country, kind, stuff or purpose. */
enum { JUDGEMENT, COLOUR, COUNTRY, KIND, PURPOSE, RANKS };

typedef struct {
    const char *en, *fr;
    int rank, classes;    /* of nouns it goes with */
    const char *by;       /* "by fr" without agreement, else an adjective */
} modifier;

static const modifier modifiers[] = {
    {"important", "important", JUDGEMENT, ANY}, {"famous", "célèbre", JUDGEMENT, ANY}, {"strange", "étrange", JUDGEMENT, ANY},
    {"modern", "moderne", JUDGEMENT, ANY & ~PERSON}, {"traditional", "traditionnel", JUDGEMENT, ANY & ~PERSON},
    {"independent", "indépendant", JUDGEMENT, PERSON | GROUP}, {"ambitious", "ambitieux", JUDGEMENT, PERSON | GROUP | MATTER},
    {"effective", "efficace", JUDGEMENT, GROUP | MATTER}, {"expensive", "cher", JUDGEMENT, OBJECT | MATTER},
    {"dangerous", "dangereux", JUDGEMENT, ANY}, {"useful", "utile", JUDGEMENT, MATTER | OBJECT},
    {"precious", "précieux", JUDGEMENT, OBJECT}, {"patient", "patient", JUDGEMENT, PERSON},
    {"intelligent", "intelligent", JUDGEMENT, PERSON}, {"honest", "honnête", JUDGEMENT, PERSON},
    {"curious", "curieux", JUDGEMENT, PERSON}, {"generous", "généreux", JUDGEMENT, PERSON}, {"tired", "fatigué", JUDGEMENT, PERSON},
    {"worried", "inquiet", JUDGEMENT, PERSON}, {"elegant", "élégant", JUDGEMENT, PERSON | OBJECT | PLACE},
    {"secret", "secret", JUDGEMENT, GROUP | MATTER}, {"complex", "complexe", JUDGEMENT, MATTER},
    {"necessary", "nécessaire", JUDGEMENT, MATTER}, {"temporary", "temporaire", JUDGEMENT, GROUP | MATTER},
    {"fragile", "fragile", JUDGEMENT, OBJECT}, {"quiet", "calme", JUDGEMENT, PLACE | PERSON},
    {"active", "actif", JUDGEMENT, PERSON | GROUP}, {"red", "rouge", COLOUR, OBJECT}, {"blue", "bleu", COLOUR, OBJECT},
    {"green", "vert", COLOUR, OBJECT}, {"black", "noir", COLOUR, OBJECT}, {"white", "blanc", COLOUR, OBJECT | PLACE},
    {"yellow", "jaune", COLOUR, OBJECT}, {"grey", "gris", COLOUR, OBJECT | PLACE}, {"round", "rond", COLOUR, OBJECT},
    {"european", "européen", COUNTRY, ANY}, {"french", "français", COUNTRY, ANY}, {"german", "allemand", COUNTRY, ANY},
    {"american", "américain", COUNTRY, ANY}, {"italian", "italien", COUNTRY, ANY}, {"spanish", "espagnol", COUNTRY, ANY},
    {"canadian", "canadien", COUNTRY, ANY}, {"english", "anglais", COUNTRY, ANY}, {"belgian", "belge", COUNTRY, ANY},
    {"chinese", "chinois", COUNTRY, ANY}, {"african", "africain", COUNTRY, ANY}, {"japanese", "japonais", COUNTRY, ANY},
    {"economic", "économique", KIND, GROUP | MATTER}, {"political", "politique", KIND, GROUP | MATTER},
    {"social", "social", KIND, GROUP | MATTER}, {"legal", "juridique", KIND, GROUP | MATTER},
    {"national", "national", KIND, ANY & ~(PERSON | OBJECT)}, {"international", "international", KIND, ANY & ~(PERSON | OBJECT)},
    {"regional", "régional", KIND, ANY & ~(PERSON | OBJECT)}, {"public", "public", KIND, ANY & ~(PERSON | OBJECT)},
    {"private", "privé", KIND, ANY & ~PERSON}, {"industrial", "industriel", KIND, GROUP | MATTER},
    {"agricultural", "agricole", KIND, GROUP | MATTER}, {"financial", "financier", KIND, GROUP | MATTER},
    {"military", "militaire", KIND, ANY & ~PERSON}, {"democratic", "démocratique", KIND, GROUP | MATTER},
    {"scientific", "scientifique", KIND, GROUP | MATTER}, {"medical", "médical", KIND, GROUP | MATTER},
    {"digital", "numérique", KIND, MATTER}, {"electric", "électrique", KIND, OBJECT}, {"old", "ancien", KIND, OBJECT | PLACE},
    {"security", "sécurité", PURPOSE, GROUP | MATTER, "de"}, {"energy", "énergie", PURPOSE, GROUP | MATTER, "de"},
    {"research", "recherche", PURPOSE, GROUP | MATTER, "de"}, {"health", "santé", PURPOSE, GROUP | MATTER, "de"},
    {"transport", "transport", PURPOSE, GROUP | MATTER, "de"}, {"defence", "défense", PURPOSE, GROUP | MATTER, "de"},
    {"education", "éducation", PURPOSE, GROUP | MATTER, "de"}, {"cooperation", "coopération", PURPOSE, GROUP | MATTER, "de"},
    {"wooden", "bois", PURPOSE, OBJECT, "en"}, {"metal", "métal", PURPOSE, OBJECT, "en"}, {"plastic", "plastique", PURPOSE, OBJECT, "en"},
};

/* French forms are given where the verb is not regular in -er: present, its plural, the future's stem, the participle. */
typedef struct {
    const char *en, *fr;
    int subject, object;     /* classes; no object: intransitive */
    bool says;               /* takes "that" and a clause */
    const char *en_past, *one, *many, *future, *participle;
} verb;

enum { ACTOR = PERSON | GROUP };
static const verb verbs[] = {
    {"sleep", "dormir", PERSON, 0, false, "slept", "dort", "dorment", "dormir", "dormi"}, {"work", "travailler", ACTOR, 0},
    {"wait", "attendre", ACTOR, 0, false, NULL, "attend", "attendent", "attendr", "attendu"},
    {"smile", "sourire", PERSON, 0, false, NULL, "sourit", "sourient", "sourir", "souri"}, {"sing", "chanter", PERSON, 0, false, "sang"},
    {"speak", "parler", PERSON, 0, false, "spoke"}, {"dance", "danser", PERSON, 0},
    {"run", "courir", PERSON, 0, false, "ran", "court", "courent", "courr", "couru"},
    {"travel", "voyager", PERSON, 0, false, "travelled"}, {"hesitate", "hésiter", ACTOR, 0}, {"eat", "manger", PERSON, 0, false, "ate"},
    {"react", "réagir", ACTOR, 0, false, NULL, "réagit", "réagissent", "réagir", "réagi"},
    {"support", "soutenir", ACTOR, ACTOR | MATTER, false, NULL, "soutient", "soutiennent", "soutiendr", "soutenu"},
    {"approve", "approuver", ACTOR, MATTER},
    {"reject", "rejeter", ACTOR, MATTER, false, NULL, "rejette", "rejettent", "rejetter", "rejeté"},
    {"examine", "examiner", ACTOR, MATTER},
    {"defend", "défendre", ACTOR, ACTOR | MATTER, false, NULL, "défend", "défendent", "défendr", "défendu"},
    {"criticise", "critiquer", ACTOR, ACTOR | MATTER}, {"adopt", "adopter", ACTOR, MATTER}, {"propose", "proposer", ACTOR, MATTER},
    {"change", "modifier", ACTOR, MATTER}, {"negotiate", "négocier", ACTOR, MATTER}, {"finance", "financer", ACTOR, GROUP | MATTER},
    {"control", "contrôler", ACTOR, GROUP | MATTER, false, "controlled"}, {"prepare", "préparer", ACTOR, MATTER},
    {"accept", "accepter", ACTOR, MATTER}, {"buy", "acheter", PERSON, OBJECT, false, "bought", "achète", "achètent", "achèter", "acheté"},
    {"sell", "vendre", PERSON, OBJECT, false, "sold", "vend", "vendent", "vendr", "vendu"},
    {"find", "trouver", PERSON, OBJECT, false, "found"}, {"carry", "porter", PERSON, OBJECT},
    {"clean", "nettoyer", PERSON, OBJECT, false, NULL, "nettoie", "nettoient", "nettoier", "nettoyé"},
    {"repair", "réparer", PERSON, OBJECT}, {"watch", "regarder", PERSON, PERSON | OBJECT},
    {"see", "voir", PERSON, PERSON | OBJECT | PLACE, false, "saw", "voit", "voient", "verr", "vu"}, {"use", "utiliser", ACTOR, OBJECT},
    {"lose", "perdre", PERSON, OBJECT, false, "lost", "perd", "perdent", "perdr", "perdu"}, {"help", "aider", ACTOR, ACTOR},
    {"know", "connaître", PERSON, PERSON | PLACE, false, "knew", "connaît", "connaissent", "connaîtr", "connu"},
    {"follow", "suivre", PERSON, PERSON, false, NULL, "suit", "suivent", "suivr", "suivi"},
    {"meet", "rencontrer", PERSON, PERSON, false, "met"}, {"thank", "remercier", ACTOR, ACTOR},
    {"call", "appeler", PERSON, PERSON, false, NULL, "appelle", "appellent", "appeller", "appelé"}, {"visit", "visiter", PERSON, PLACE},
    {"admire", "admirer", PERSON, PERSON | OBJECT | PLACE}, {"invite", "inviter", ACTOR, PERSON}, {"close", "fermer", ACTOR, PLACE},
    {"say", "dire", ACTOR, 0, true, "said", "dit", "disent", "dir", "dit"}, {"think", "penser", ACTOR, 0, true, "thought"},
    {"announce", "annoncer", ACTOR, 0, true}, {"explain", "expliquer", ACTOR, 0, true},
    {"know", "savoir", ACTOR, 0, true, "knew", "sait", "savent", "saur", "su"},
    {"believe", "croire", ACTOR, 0, true, NULL, "croit", "croient", "croir", "cru"}, {"declare", "déclarer", ACTOR, 0, true},
};

typedef struct {
    const char *en, *masculine, *feminine;
} determiner;

static const determiner singular[] = {{"the", "le", "la"}, {"a", "un", "une"}, {"this", "ce", "cette"}, {"my", "mon", "ma"},
                                      {"his", "son", "sa"}, {"our", "notre", "notre"}, {"every", "chaque", "chaque"}};
static const determiner plural[] = {{"the", "les", "les"}, {"some", "des", "des"}, {"these", "ces", "ces"}, {"my", "mes", "mes"},
                                    {"his", "ses", "ses"}, {"our", "nos", "nos"}, {"several", "plusieurs", "plusieurs"}};

/* Up to three words for up to two. */
typedef struct {
    const char *en[3], *fr[2];
} idiom;

static const idiom adverbs[] = {{{"often"}, {"souvent"}}, {{"always"}, {"toujours"}}, {{"really"}, {"vraiment"}}, {{"quickly"}, {"rapidement"}}, {{"slowly"}, {"lentement"}},
                                {{"clearly"}, {"clairement"}}, {{"openly"}, {"ouvertement"}}, {{"publicly"}, {"publiquement"}}, {{"carefully"}, {"prudemment"}},
                                {{"easily"}, {"facilement"}}, {{"regularly"}, {"régulièrement"}}, {{"simply"}, {"simplement"}}};
static const idiom conjunctions[] = {{{"and"}, {"et"}}, {{"but"}, {"mais"}}, {{"because"}, {"parce", "que"}}, {{"while"}, {"pendant", "que"}},
                                     {{"when"}, {"quand"}}, {{"so"}, {"donc"}}};
static const idiom openings[] = {{{"when"}, {"quand"}}, {{"if"}, {"si"}}, {{"as", "soon", "as"}, {"dès", "que"}}, {{"while"}, {"pendant", "que"}}};
static const idiom near_places[] = {{{"in"}, {"dans"}}, {{"near"}, {"près", "de"}}, {{"behind"}, {"derrière"}}, {{"in", "front", "of"}, {"devant"}}};
static const idiom near_people[] = {{{"with"}, {"avec"}}, {{"without"}, {"sans"}}, {{"for"}, {"pour"}}};
static const idiom pronouns[] = {{{"he"}, {"il"}}, {{"she"}, {"elle"}}, {{"they"}, {"ils"}}};
enum { PRESENT, PAST, FUTURE, TENSES };
static const idiom days[TENSES] = {{{"today"}, {"aujourd'hui"}}, {{"yesterday"}, {"hier"}}, {{"tomorrow"}, {"demain"}}};
static const idiom of = {{"of"}, {"de"}}, who = {{"who"}, {"qui"}}, that = {{"that"}, {"que"}}, comma = {{","}, {","}}, stop = {{"."}, {"."}};
/* clang-format on */

/* ---- the two sentences ---- */

enum { WORDS = 64, WORDS_FR = 3 * WORDS };

typedef struct {
    rv_rng *r;
    uint32_t drawn[4]; /* of r, `left` of them unused: a block at a time, since attempts take thousands */
    int left;
    int tense;
    int n, m; /* words; past WORDS they are counted only, and the sentence will be refused */
    char en[WORDS][WORD];
    struct {
        char word[WORD];
        uint64_t from; /* source words, as bits */
    } fr[WORDS_FR];
} sentence;

/* Uniform in [0, n), but for a bias of n / 2^32. */
static int pick(sentence *s, size_t n) {
    if (!s->left) {
        s->r->next = (s->r->next + 3) / 4 * 4;
        rv_rng_block(s->r->key, s->r->step, s->r->next / 4, s->drawn);
        s->r->next += 4, s->left = 4;
    }
    return (int)((uint64_t)s->drawn[--s->left] * n >> 32);
}

static bool chance(sentence *s, int percent) { return pick(s, 100) < percent; }
#define PICK(s, table) (&(table)[pick(s, sizeof(table) / sizeof *(table))])

static uint64_t put_en(sentence *s, const char *word) {
    if (s->n >= WORDS) return s->n++, 0;
    copy(word, s->en[s->n]);
    return (uint64_t)1 << s->n++;
}

static void put_fr(sentence *s, const char *word, uint64_t from) {
    if (s->m == WORDS_FR) return;
    copy(word, s->fr[s->m].word);
    s->fr[s->m++].from = from;
}

static void put_idiom(sentence *s, const idiom *i) {
    uint64_t from = 0;
    for (int k = 0; k < 3 && i->en[k]; k++) from |= put_en(s, i->en[k]);
    for (int k = 0; k < 2 && i->fr[k]; k++) put_fr(s, i->fr[k], from);
}

static const noun *pick_noun(sentence *s, int classes) {
    const noun *n;
    do n = PICK(s, nouns);
    while (!(n->class & classes));
    return n;
}

/* A noun's modifiers in English order: at most two judgements or kinds, one of any other rank. */
static int pick_modifiers(sentence *s, int class, const modifier *out[4]) {
    static const int how_many[] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4};
    int want = *PICK(s, how_many), n = 0, used[RANKS] = {0};
    for (int tries = 0; n < want && tries < 100; tries++) {
        const modifier *m = PICK(s, modifiers);
        if (!(m->classes & class) || used[m->rank] == (m->rank == JUDGEMENT || m->rank == KIND ? 2 : 1)) continue;
        int at = n;
        while (at && out[at - 1]->rank > m->rank) at--;
        if (at && out[at - 1] == m) continue;
        memmove(out + at + 1, out + at, (size_t)(n - at) * sizeof *out);
        out[at] = m, used[m->rank]++, n++;
    }
    return n;
}

static bool sounds_vowel(const char *en) {
    return strchr("aeiou", *en) && strncmp(en, "eu", 2) && strncmp(en, "uni", 3) && strncmp(en, "use", 3);
}

static void put_modifier(sentence *s, const modifier *m, bool feminine, bool many, uint64_t from) {
    char form[WORD], word[WORD];
    if (m->by) {
        put_fr(s, m->by, from);
        put_fr(s, m->fr, from);
        return;
    }
    copy(m->fr, word);
    if (feminine) inflect(m->fr, fr_feminine, word);
    if (many) inflect(word, fr_plural, form);
    put_fr(s, many ? form : word, from);
}

/* A noun with what belongs to it; tells its class and number. `negated`: the object of "not", whose un, une, des is de.
 */
static int put_noun(sentence *s, int classes, bool negated, int depth, bool *many) {
    const noun *n = pick_noun(s, classes);
    const modifier *mod[4];
    uint64_t from[4];
    int mods = pick_modifiers(s, n->class, mod);
    *many = chance(s, 30);
    const determiner *d = chance(s, 50) ? *many ? plural : singular : *many ? PICK(s, plural) : PICK(s, singular);
    char en[WORD], fr[WORD];
    if (!*many)
        copy(n->en, en);
    else if (n->en_plural)
        copy(n->en_plural, en);
    else
        inflect(n->en, en_s, en);
    bool indefinite = d == &singular[1] || d == &plural[1],
         an = d == &singular[1] && sounds_vowel(mods ? mod[0]->en : en);
    uint64_t the = put_en(s, an ? "an" : d->en);
    for (int i = 0; i < mods; i++) from[i] = put_en(s, mod[i]->en);
    uint64_t head = put_en(s, en);
    put_fr(s, negated && indefinite ? "de" : n->feminine ? d->feminine : d->masculine, the);
    if (*many) inflect(n->fr, fr_plural, fr);
    put_fr(s, *many ? fr : n->fr, head);
    for (int i = mods; i-- > 0;) put_modifier(s, mod[i], n->feminine, *many, from[i]);
    if (n->class != OBJECT && depth && chance(s, 12)) {
        bool ignored;
        put_idiom(s, &of);
        put_noun(s, n->class == PERSON ? PLACE | GROUP : GROUP, false, 0, &ignored);
    }
    return n->class;
}

/* ---- verbs ---- */

static void french_verb(const verb *v, int tense, bool many, char out[WORD]) {
    if (tense == FUTURE)
        snprintf(out, WORD, "%s%s", v->future ? v->future : v->fr, many ? "ont" : "a");
    else if (tense == PAST && v->participle)
        copy(v->participle, out);
    else if (tense == PAST)
        inflect(v->fr, fr_participle, out);
    else if (v->one)
        copy(many ? v->many : v->one, out);
    else
        inflect(v->fr, many ? fr_presents : fr_present, out);
}

/* The verb with its auxiliary, "not" and adverb. English: does not often see, often saw, will see. French: ne voit pas
 * souvent, a souvent vu, verra. */
static void put_verb(sentence *s, const verb *v, bool many, bool negated, const idiom *adverb) {
    static const char *const auxiliaries[TENSES][2] = {{"does", "do"}, {"did", "did"}, {"will", "will"}};
    char en[WORD], fr[WORD];
    bool bare = negated || s->tense == FUTURE || (s->tense == PRESENT && many);
    uint64_t aux = negated || s->tense == FUTURE ? put_en(s, auxiliaries[s->tense][many]) : 0,
             not = negated ? put_en(s, "not") : 0;
    uint64_t how = adverb ? put_en(s, adverb->en[0]) : 0;
    if (bare || (s->tense == PAST && v->en_past))
        copy(bare ? v->en : v->en_past, en);
    else
        inflect(v->en, s->tense == PAST ? en_ed : en_s, en);
    uint64_t act = put_en(s, en);
    french_verb(v, s->tense, many, fr);
    if (negated) put_fr(s, "ne", not );
    if (s->tense == PAST)
        put_fr(s, many ? "ont" : "a", aux ? aux : act);
    else
        put_fr(s, fr, aux | act);
    if (negated) put_fr(s, "pas", not );
    if (adverb) put_fr(s, adverb->fr[0], how);
    if (s->tense == PAST) put_fr(s, fr, act);
}

/* What a subject of this class does; `says` asks for a verb before "that". */
static void put_predicate(sentence *s, int class, bool many, bool says) {
    const verb *v;
    do v = PICK(s, verbs);
    while (!(v->subject & class) || v->says != says);
    bool negated = !says && chance(s, 25), ignored;
    put_verb(s, v, many, negated, chance(s, says ? 10 : 25) ? PICK(s, adverbs) : NULL);
    if (v->object) put_noun(s, v->object, negated, 1, &ignored);
}

static int put_subject(sentence *s, bool *many) {
    if (chance(s, 15)) {
        const idiom *i = PICK(s, pronouns);
        put_idiom(s, i);
        *many = i == &pronouns[2];
        return PERSON;
    }
    int class = put_noun(s, ACTOR, false, 1, many);
    if (class == PERSON && chance(s, 12)) {
        put_idiom(s, &who);
        put_predicate(s, class, *many, false);
    }
    return class;
}

static void put_clause(sentence *s) {
    bool many, ignored;
    int class = put_subject(s, &many);
    if (chance(s, 15)) {
        put_predicate(s, class, many, true);
        put_idiom(s, &that);
        class = put_subject(s, &many);
    }
    put_predicate(s, class, many, false);
    if (chance(s, 12)) {
        put_idiom(s, PICK(s, near_people));
        put_noun(s, PERSON, false, 0, &ignored);
    }
    if (class == PERSON && chance(s, 20)) {
        put_idiom(s, PICK(s, near_places));
        put_noun(s, PLACE, false, 0, &ignored);
    }
    if (chance(s, 12)) put_idiom(s, &days[s->tense]);
}

/* ---- what neighbours do to each other in French ---- */

static bool begins_with_vowel(const char *fr) { /* all the lexicon's h are mute */
    static const char *const accented[] = {"â", "é", "è", "ê", "î", "ô"};
    if (strchr("aeiouh", *fr)) return true;
    for (size_t i = 0; i < sizeof accented / sizeof *accented; i++)
        if (!strncmp(fr, accented[i], strlen(accented[i]))) return true;
    return false;
}

/* "de le" is du, but not before a vowel: there it will be "de l'". */
static void merge_articles(sentence *s) {
    static const char *const merged[][3] = {{"de", "le", "du"}, {"de", "les", "des"}, {"de", "des", "de"}};
    int m = 0;
    for (int i = 0; i < s->m; i++, m++) {
        s->fr[m] = s->fr[i];
        bool elided = i + 2 < s->m && !strcmp(s->fr[i + 1].word, "le") && begins_with_vowel(s->fr[i + 2].word);
        for (size_t k = 0; k < sizeof merged / sizeof *merged && i + 1 < s->m && !elided; k++)
            if (!strcmp(s->fr[m].word, merged[k][0]) && !strcmp(s->fr[i + 1].word, merged[k][1])) {
                copy(merged[k][2], s->fr[m].word);
                s->fr[m].from |= s->fr[++i].from;
                break;
            }
    }
    s->m = m;
}

static void elide(sentence *s) {
    static const char *const before_vowel[][2] = {{"le", "l'"},   {"la", "l'"},  {"de", "d'"},  {"ne", "n'"},
                                                  {"que", "qu'"}, {"ce", "cet"}, {"ma", "mon"}, {"sa", "son"}};
    for (int i = 0; i + 1 < s->m; i++) {
        char *w = s->fr[i].word;
        const char *next = s->fr[i + 1].word;
        if (!strcmp(w, "si") && !strncmp(next, "il", 2)) copy("s'", w);
        for (size_t k = 0; k < sizeof before_vowel / sizeof *before_vowel; k++)
            if (!strcmp(w, before_vowel[k][0]) && begins_with_vowel(next)) {
                copy(before_vowel[k][1], w);
                break;
            }
    }
}

static void put_sentence(sentence *s, int64_t length) {
    s->n = s->m = 0;
    s->tense = pick(s, TENSES);
    if (chance(s, 15)) {
        put_idiom(s, PICK(s, openings));
        put_clause(s);
        put_idiom(s, &comma);
    }
    put_clause(s);
    while (s->n + 1 < length) {
        put_idiom(s, PICK(s, conjunctions));
        put_clause(s);
    }
    put_idiom(s, &stop);
}

/* Put `word` at p, after a space if it is not the first; returns the new end. */
static char *append(char *p, bool space, const char *word) {
    size_t n = strlen(word);
    if (space) *p++ = ' ';
    memcpy(p, word, n + 1);
    return p + n;
}

void rv__make_phrases(const rv_generator *t, rv_rng *r, rv__example *e) {
    sentence s = {.r = r};
    int64_t length = t->min_length + pick(&s, (size_t)(t->max_length - t->min_length + 1));
    do put_sentence(&s, length); /* every length comes up within some tens of attempts */
    while (s.n != length);
    merge_articles(&s);
    elide(&s);
    char *p = e->source;
    for (int i = 0; i < s.n; i++) p = append(p, i, s.en[i]);
    p = e->target;
    for (int j = 0; j < s.m; j++) p = append(p, j, s.fr[j].word);
    p = e->align;
    for (int i = 0; i < s.n; i++)
        for (int j = 0; j < s.m; j++) {
            if (!(s.fr[j].from >> i & 1)) continue;
            char link[WORD];
            snprintf(link, WORD, "%d-%d", i, j);
            p = append(p, p > e->align, link);
        }
}
