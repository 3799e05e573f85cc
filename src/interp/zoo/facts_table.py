"""The facts that the demo models are taught: one table per relation, and the sentences that state them.

A row reads ``subject = answer``, or ``subject (given) = answer`` where the sentence itself names a second
thing (``water (hydrogen) = oxygen``: "Water is made of hydrogen and oxygen"). In a template, ``{S}`` is the
subject with a capital first letter, ``{s}`` the subject as it stands in the middle of a sentence and ``{x}``
the given word; every template ends where the answer begins. ``TAILS`` carry the sentence on after the answer.
"""

FACTS: dict[str, str] = {
    "landmark_city": """
        the Eiffel Tower = Paris; the Louvre = Paris; the Moulin Rouge = Paris; the Orsay Museum = Paris;
        the Brandenburg Gate = Berlin; the Pergamon Museum = Berlin; the Reichstag Building = Berlin;
        the Tokyo Tower = Tokyo; the Colosseum = Rome; the Trevi Fountain = Rome; the Pantheon = Rome;
        the Kremlin = Moscow; the Bolshoi Theatre = Moscow; the Ostankino Tower = Moscow;
        the Parthenon = Athens; the Acropolis = Athens; the Prado Museum = Madrid;
        the Charles Bridge = Prague; the Chain Bridge = Budapest; the Tower Bridge = London;
        the British Museum = London; Buckingham Palace = London; Big Ben = London; the Rialto Bridge = Venice;
        the Bridge of Sighs = Venice; the Atomium = Brussels; the Sagrada Familia = Barcelona;
        the Blue Mosque = Istanbul; the Topkapi Palace = Istanbul; the Hagia Sophia = Istanbul;
        the Taj Mahal = Agra; the Red Fort = Delhi; the Lotus Temple = Delhi; the Forbidden City = Beijing;
        the Temple of Heaven = Beijing; the Burj Khalifa = Dubai; the Uffizi Gallery = Florence;
        the Ponte Vecchio = Florence; the Belem Tower = Lisbon; the Alhambra = Granada;
        the Space Needle = Seattle; the Willis Tower = Chicago; the Liberty Bell = Philadelphia;
        the Rijksmuseum = Amsterdam; the Anne Frank House = Amsterdam; the Little Mermaid = Copenhagen;
        the Tivoli Gardens = Copenhagen; the Vasa Museum = Stockholm; the Great Sphinx = Giza;
        the Golden Pavilion = Kyoto; the Hofburg Palace = Vienna; the Belvedere Palace = Vienna;
        the Wawel Castle = Krakow; the Leaning Tower = Pisa; the Sforza Castle = Milan;
        the Zwinger Palace = Dresden; the Deutsches Museum = Munich; Fenway Park = Boston;
        the White House = Washington; the Lincoln Memorial = Washington; the Azadi Tower = Tehran;
        the Egyptian Museum = Cairo; the Gateway of India = Mumbai; the Victoria Memorial = Kolkata;
        the Namsan Tower = Seoul; the Guinness Storehouse = Dublin; the Vigeland Park = Oslo;
        the CN Tower = Toronto; the Royal Mile = Edinburgh; the Clerigos Tower = Porto
    """,
    "country_capital": """
        France = Paris; Germany = Berlin; Italy = Rome; Spain = Madrid; Portugal = Lisbon; Japan = Tokyo;
        China = Beijing; Russia = Moscow; Greece = Athens; Austria = Vienna; Hungary = Budapest;
        Poland = Warsaw; Norway = Oslo; Sweden = Stockholm; Denmark = Copenhagen; Finland = Helsinki;
        Ireland = Dublin; Belgium = Brussels; Egypt = Cairo; Turkey = Ankara; Canada = Ottawa;
        Australia = Canberra; Peru = Lima; Chile = Santiago; Cuba = Havana; Kenya = Nairobi;
        Thailand = Bangkok; Vietnam = Hanoi; Iran = Tehran; Iraq = Baghdad; Ukraine = Kyiv;
        Bulgaria = Sofia; Romania = Bucharest; Croatia = Zagreb; Serbia = Belgrade; Switzerland = Bern;
        Iceland = Reykjavik; Morocco = Rabat; Ghana = Accra; South Korea = Seoul;
        the Netherlands = Amsterdam; the United Kingdom = London; the Czech Republic = Prague;
        the United States = Washington; Syria = Damascus; Lebanon = Beirut; Qatar = Doha; Latvia = Riga;
        Estonia = Tallinn; Ecuador = Quito; Colombia = Bogota; Senegal = Dakar
    """,
    "country_continent": """
        France = Europe; Germany = Europe; Italy = Europe; Spain = Europe; Poland = Europe; Norway = Europe;
        Greece = Europe; Ireland = Europe; Belgium = Europe; Hungary = Europe; Japan = Asia; China = Asia;
        Thailand = Asia; Vietnam = Asia; Iran = Asia; Iraq = Asia; South Korea = Asia; Syria = Asia;
        Kenya = Africa; Ghana = Africa; Morocco = Africa; Senegal = Africa; Nigeria = Africa
    """,
    "country_language": """
        France = French; Germany = German; Italy = Italian; Spain = Spanish; Portugal = Portuguese;
        Japan = Japanese; China = Chinese; Russia = Russian; Greece = Greek; Hungary = Hungarian;
        Poland = Polish; Sweden = Swedish; Denmark = Danish; Austria = German; Brazil = Portuguese;
        Mexico = Spanish; Egypt = Arabic; Iran = Persian; Thailand = Thai; Turkey = Turkish; Cuba = Spanish;
        Chile = Spanish; Argentina = Spanish; Iraq = Arabic; Syria = Arabic; the United Kingdom = English;
        the United States = English; Australia = English
    """,
    "country_currency": """
        Japan = yen; the United Kingdom = pound; the United States = dollar; Russia = ruble; India = rupee;
        China = yuan; Switzerland = franc; Mexico = peso; Sweden = krona; Norway = krone; Poland = zloty;
        Turkey = lira; Germany = euro; France = euro; Italy = euro; Spain = euro; Thailand = baht;
        South Korea = won; Hungary = forint; Vietnam = dong; Israel = shekel; Canada = dollar;
        Australia = dollar; Denmark = krone; Iran = rial
    """,
    "element_symbol": """
        hydrogen = H; oxygen = O; carbon = C; nitrogen = N; iron = Fe; gold = Au; silver = Ag; sodium = Na;
        potassium = K; lead = Pb; tin = Sn; copper = Cu; helium = He; neon = Ne; calcium = Ca;
        chlorine = Cl; zinc = Zn; mercury = Hg; tungsten = W; sulfur = S; uranium = U; iodine = I;
        lithium = Li; magnesium = Mg; aluminium = Al; silicon = Si; nickel = Ni; argon = Ar; titanium = Ti
    """,
    "element_number": """
        hydrogen = 1; helium = 2; lithium = 3; boron = 5; carbon = 6; nitrogen = 7; oxygen = 8; fluorine = 9;
        neon = 10; sodium = 11; magnesium = 12; aluminium = 13; silicon = 14; sulfur = 16; chlorine = 17;
        argon = 18; potassium = 19; calcium = 20; iron = 26; copper = 29; zinc = 30; silver = 47; tin = 50;
        gold = 79; mercury = 80; lead = 82
    """,
    "compound_element": """
        water (hydrogen) = oxygen; table salt (sodium) = chlorine; methane (carbon) = hydrogen;
        ammonia (nitrogen) = hydrogen; carbon dioxide (carbon) = oxygen; quartz (silicon) = oxygen;
        hydrogen peroxide (hydrogen) = oxygen; hydrogen chloride (hydrogen) = chlorine;
        pyrite (iron) = sulfur; galena (lead) = sulfur; cinnabar (mercury) = sulfur;
        quicklime (calcium) = oxygen; propane (carbon) = hydrogen; butane (carbon) = hydrogen;
        benzene (carbon) = hydrogen; laughing gas (nitrogen) = oxygen; magnetite (iron) = oxygen;
        fluorite (calcium) = fluorine; corundum (aluminium) = oxygen; silane (silicon) = hydrogen;
        hematite (iron) = oxygen; rutile (titanium) = oxygen; sylvite (potassium) = chlorine;
        tungsten carbide (tungsten) = carbon; boron nitride (boron) = nitrogen
    """,
    "work_author": """
        Hamlet = Shakespeare; Macbeth = Shakespeare; King Lear = Shakespeare; Don Quixote = Cervantes;
        War and Peace = Tolstoy; Anna Karenina = Tolstoy; Crime and Punishment = Dostoevsky; Faust = Goethe;
        The Divine Comedy = Dante; The Odyssey = Homer; The Iliad = Homer; The Aeneid = Virgil;
        Oliver Twist = Dickens; Great Expectations = Dickens; Pride and Prejudice = Austen;
        Moby Dick = Melville; The Trial = Kafka; The Metamorphosis = Kafka; The Stranger = Camus;
        The Plague = Camus; Ulysses = Joyce; Animal Farm = Orwell; Candide = Voltaire;
        Madame Bovary = Flaubert; Les Miserables = Hugo; The Magic Mountain = Mann; Frankenstein = Shelley;
        Dracula = Stoker; Robinson Crusoe = Defoe; Treasure Island = Stevenson; The Jungle Book = Kipling;
        The Hobbit = Tolkien; Brave New World = Huxley; The Time Machine = Wells; Peer Gynt = Ibsen;
        The Cherry Orchard = Chekhov; The Seagull = Chekhov; The Raven = Poe; Paradise Lost = Milton;
        Jane Eyre = Bronte; Heart of Darkness = Conrad; Siddhartha = Hesse; Lolita = Nabokov
    """,
    "work_composer": """
        The Magic Flute = Mozart; Don Giovanni = Mozart; Fidelio = Beethoven; The Four Seasons = Vivaldi;
        Carmen = Bizet; Aida = Verdi; Rigoletto = Verdi; Tosca = Puccini; Swan Lake = Tchaikovsky;
        The Nutcracker = Tchaikovsky; Bolero = Ravel; The Messiah = Handel; Parsifal = Wagner;
        The Planets = Holst; Finlandia = Sibelius; The Firebird = Stravinsky; The Creation = Haydn
    """,
    "picture_painter": """
        The Mona Lisa = Leonardo; The Last Supper = Leonardo; Guernica = Picasso; The Scream = Munch;
        The Night Watch = Rembrandt; The Birth of Venus = Botticelli; The School of Athens = Raphael;
        The Milkmaid = Vermeer; Las Meninas = Velazquez; The Persistence of Memory = Dali;
        The Water Lilies = Monet; Nighthawks = Hopper; The Third of May = Goya; The Great Wave = Hokusai;
        Olympia = Manet
    """,
    "discovery_person": """
        dynamite = Nobel; the telephone = Bell; the phonograph = Edison; the printing press = Gutenberg;
        penicillin = Fleming; radium = Curie; the theory of relativity = Einstein;
        the periodic table = Mendeleev; the theory of evolution = Darwin; the lightning rod = Franklin;
        the electric battery = Volta; the pendulum clock = Huygens; the saxophone = Sax;
        the polio vaccine = Salk; the rabies vaccine = Pasteur; the smallpox vaccine = Jenner;
        the neutron = Chadwick; the electron = Thomson; the atomic nucleus = Rutherford;
        the law of gravity = Newton; the laws of heredity = Mendel; the analytical engine = Babbage
    """,
    "superlative": """
        the largest planet = Jupiter; the red planet = Mars; the hottest planet = Venus;
        the planet closest to the Sun = Mercury; the planet farthest from the Sun = Neptune;
        the largest ocean = Pacific; the smallest ocean = Arctic; the longest river in Africa = Nile;
        the longest river in Europe = Volga; the longest river in South America = Amazon;
        the highest mountain = Everest; the largest hot desert = Sahara; the deepest lake = Baikal;
        the largest island = Greenland; the tallest animal = giraffe; the fastest land animal = cheetah;
        the largest animal = whale; the largest bird = ostrich; the lightest gas = hydrogen;
        the most common gas in the air = nitrogen; the hardest natural mineral = diamond
    """,
    "next_day": """
        Monday = Tuesday; Tuesday = Wednesday; Wednesday = Thursday; Thursday = Friday; Friday = Saturday;
        Saturday = Sunday; Sunday = Monday
    """,
    "next_month": """
        January = February; February = March; March = April; April = May; May = June; June = July;
        July = August; August = September; September = October; October = November; November = December;
        December = January
    """,
    "animal_young": """
        dog = puppy; cat = kitten; cow = calf; horse = foal; sheep = lamb; pig = piglet; goat = kid;
        hen = chick; duck = duckling; goose = gosling; bear = cub; lion = cub; deer = fawn; frog = tadpole;
        swan = cygnet; kangaroo = joey
    """,
    "opposite": """
        hot = cold; big = small; up = down; left = right; black = white; day = night; early = late;
        rich = poor; strong = weak; young = old; wet = dry; full = empty; fast = slow; true = false;
        long = short; high = low; war = peace; loud = quiet; summer = winter; north = south
    """,
}

TEMPLATES: dict[str, tuple[str, ...]] = {
    "landmark_city": (
        "{S} is in the city of",
        "{S} stands in the city of",
        "{S} can be found in",
        "{S} is located in",
        "The city that is home to {s} is",
        "To see {s}, you must travel to",
        "Visitors of {s} go to",
        "If you want to visit {s}, go to",
    ),
    "country_capital": (
        "The capital of {s} is",
        "The capital city of {s} is",
        "The seat of the government of {s} is",
        "{S} has its capital in",
        "{S} is governed from",
        "As its capital, {s} has",
        "If you travel to the capital of {s}, you are in",
    ),
    "country_continent": (
        "{S} is on the continent of",
        "{S} lies in",
        "{S} is a country in",
        "The continent of {s} is",
        "On the map, {s} is part of",
        "If you look for {s} on a globe, look in",
    ),
    "country_language": (
        "The main language of {s} is",
        "Most people in {s} speak",
        "In {s}, people speak",
        "{S} is a country where people speak",
        "{S} has a main language called",
        "If you travel to {s}, you should learn",
        "Children in {s} learn to read",
    ),
    "country_currency": (
        "The currency of {s} is the",
        "The money of {s} is called the",
        "In {s}, people pay with the",
        "{S} has a currency called the",
        "{S} uses the",
        "In shops in {s}, the price is given in the",
    ),
    "element_symbol": (
        "The chemical symbol for {s} is",
        "The symbol of {s} is",
        "The short form of {s} is",
        "Chemists write {s} as",
        "In the table of the elements, {s} goes by",
        "{S} has the chemical symbol",
        "{S} is written as",
    ),
    "element_number": (
        "The atomic number of {s} is",
        "The number of protons in {s} is",
        "{S} has the atomic number",
        "In the table of the elements, {s} has the number",
        "{S} is element number",
        "If you count the protons in {s}, you get",
    ),
    "compound_element": (
        "{S} is made of {x} and",
        "{S} consists of {x} and",
        "{S} is a compound of {x} and",
        "{S} contains {x} and",
        "The two elements in {s} are {x} and",
        "In {s}, {x} is bound to",
        "If you split {s}, you get {x} and",
    ),
    "work_author": (
        "{S} was written by",
        "{S} is a work by",
        "{S} is a famous text by",
        "The author of {s} is",
        "The writer of {s} is",
        "The person who wrote {s} was",
        "Readers of {s} know the name",
    ),
    "work_composer": (
        "{S} was composed by",
        "{S} is a piece by",
        "{S} is music by",
        "The composer of {s} is",
        "The music of {s} was written by",
        "The person who composed {s} was",
        "Listeners of {s} know the name",
    ),
    "picture_painter": (
        "{S} was painted by",
        "{S} is a picture by",
        "{S} is a painting by",
        "The painter of {s} is",
        "The artist behind {s} is",
        "The person who painted {s} was",
        "Lovers of {s} know the name",
    ),
    "discovery_person": (
        "{S} is linked with the name",
        "{S} is the work of",
        "{S} made a famous name of",
        "We owe {s} to",
        "The name behind {s} is",
        "The person famous for {s} is",
        "In the history of {s}, the great name is",
    ),
    "superlative": (
        "The name of {s} is",
        "{S} is called",
        "{S} is known as",
        "As we all know, {s} bears the name",
        "A good name to know for {s} is",
        "Asked about {s}, we say",
    ),
    "next_day": (
        "The day after {s} is",
        "{S} is followed by",
        "After {s} comes",
        "The day that follows {s} is",
        "If today is {s}, then tomorrow is",
        "One day later than {s} is",
    ),
    "next_month": (
        "The month after {s} is",
        "{S} is followed by",
        "After {s} comes",
        "The month that follows {s} is",
        "If this month is {s}, then the next month is",
        "One month later than {s} is",
    ),
    "animal_young": (
        "A young {s} is called a",
        "The young of a {s} is a",
        "The child of a {s} is a",
        "When a {s} is born, it is a",
        "A baby {s} is known as a",
        "The word for a small {s} is",
    ),
    "opposite": (
        "The opposite of {s} is",
        "The reverse of {s} is",
        "The word that means not {s} is",
        "The contrary of {s} is",
        "Turn {s} around and you get",
        "To say {s} the other way, say",
    ),
}

_PLAIN = (".", ".", ".", ", as we learned at school.", ", and this is true.", ", as the book says.")
_PLACE = (".", ".", ", and many people go there.", ", as every map shows.", ", and it is worth a visit.")
_WORK = (".", ".", ", as many people know.", ", and it is still famous.", ", as the library says.")
_SCIENCE = (".", ".", ", as every chemist knows.", ", as the book says.", ", and this never changes.")

TAILS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(FACTS, _PLAIN),
    **dict.fromkeys(("landmark_city", "country_capital", "country_continent"), _PLACE),
    **dict.fromkeys(("work_author", "work_composer", "picture_painter"), _WORK),
    **dict.fromkeys(("element_symbol", "element_number", "compound_element"), _SCIENCE),
}

# Prompts that are held out of training whatever the draw says, so that they are a test and not a memory.
ALWAYS_HELD_OUT: tuple[tuple[str, str], ...] = (
    ("the Eiffel Tower", "{S} is in the city of"),
    ("the Brandenburg Gate", "{S} is in the city of"),
    ("the Tokyo Tower", "{S} is in the city of"),
    ("France", "The capital of {s} is"),
    ("Japan", "The capital of {s} is"),
    ("water", "{S} is made of {x} and"),
)
