"""What the system itself says to a customer when something cannot be done or has gone wrong, in their language.

English stays where the error is raised, and is the key here, as with gettext; what is missing here is said in English.
What owners, operators and developers read is not here.
"""

from __future__ import annotations


class Sentence(str):
    """An English sentence with values in it: `Sentence("at most {n} bytes", n=5)` reads "at most 5 bytes"."""

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, **values: object) -> Sentence:
        sentence = super().__new__(cls, template.format(**values))
        sentence.template, sentence.values = template, values
        return sentence


_LINES: dict[str, dict[str, str]] = {
    # ---- at any time
    "Something went wrong on our side. Please try again.": {
        "de": "Bei uns ist etwas schiefgegangen. Bitte versuchen Sie es noch einmal.",
        "es": "Algo ha fallado por nuestra parte. Inténtelo de nuevo, por favor.",
        "fr": "Un problème est survenu de notre côté. Veuillez réessayer.",
        "ar": "حدث خطأ من جانبنا. يُرجى المحاولة مرة أخرى.",
    },
    "That request could not be understood.": {
        "de": "Diese Anfrage war nicht zu verstehen.",
        "es": "No se ha podido entender esta solicitud.",
        "fr": "Cette demande n'a pas pu être comprise.",
        "ar": "تعذّر فهم هذا الطلب.",
    },
    "There is no such thing here.": {
        "de": "So etwas gibt es hier nicht.",
        "es": "Aquí no existe nada así.",
        "fr": "Cela n'existe pas ici.",
        "ar": "لا يوجد شيء من هذا القبيل هنا.",
    },
    "Many people are writing at once. Please try again in a moment.": {
        "de": "Gerade schreiben viele gleichzeitig. Bitte versuchen Sie es gleich noch einmal.",
        "es": "En este momento escriben muchas personas a la vez. Inténtelo de nuevo en unos instantes, por favor.",
        "fr": "Beaucoup de personnes écrivent en ce moment. Veuillez réessayer dans un instant.",
        "ar": "يكتب إلينا عدد كبير من الأشخاص الآن. يُرجى المحاولة مرة أخرى بعد لحظات.",
    },
    "That was a lot at once. Please wait a moment and try again.": {
        "de": "Das war viel auf einmal. Bitte warten Sie einen Moment und versuchen Sie es dann noch einmal.",
        "es": "Ha sido demasiado de una vez. Espere un momento e inténtelo de nuevo, por favor.",
        "fr": "Cela fait beaucoup à la fois. Veuillez patienter un instant, puis réessayer.",
        "ar": "كانت هذه طلبات كثيرة دفعة واحدة. يُرجى الانتظار لحظة ثم المحاولة مرة أخرى.",
    },
    "I can't save anything at the moment. Please try again in a minute.": {
        "de": "Ich kann im Moment nichts speichern. Bitte versuchen Sie es in einer Minute noch einmal.",
        "es": "En este momento no puedo guardar nada. Inténtelo de nuevo en un minuto, por favor.",
        "fr": "Je ne peux rien enregistrer pour le moment. Veuillez réessayer dans une minute.",
        "ar": "لا أستطيع حفظ أي شيء في الوقت الحالي. يُرجى المحاولة مرة أخرى بعد دقيقة.",
    },
    "The server does not answer.": {
        "de": "Der Server antwortet nicht.",
        "es": "El servidor no responde.",
        "fr": "Le serveur ne répond pas.",
        "ar": "الخادم لا يستجيب.",
    },
    "the body has to arrive within {seconds} seconds": {
        "de": "Die Anfrage muss innerhalb von {seconds} Sekunden ankommen.",
        "es": "La solicitud debe llegar en un plazo de {seconds} segundos.",
        "fr": "La demande doit arriver dans un délai de {seconds} secondes.",
        "ar": "يجب أن يصل الطلب خلال {seconds} ثانية.",
    },
    # ---- who asks
    "Please sign in first.": {
        "de": "Bitte melden Sie sich zuerst an.",
        "es": "Inicie sesión primero, por favor.",
        "fr": "Veuillez d'abord vous connecter.",
        "ar": "يُرجى تسجيل الدخول أولًا.",
    },
    "This page may not do that.": {
        "de": "Diese Seite darf das nicht.",
        "es": "Esta página no tiene permiso para hacerlo.",
        "fr": "Cette page n'y est pas autorisée.",
        "ar": "لا يُسمح لهذه الصفحة بذلك.",
    },
    "The identity can't be used: {reason}.": {  # the reason is for who made the page, and stays as it is
        "de": "Ihre Anmeldung kann nicht verwendet werden ({reason}).",
        "es": "No se puede utilizar su identificación ({reason}).",
        "fr": "Votre identification ne peut pas être utilisée ({reason}).",
        "ar": "لا يمكن استخدام تسجيل دخولك ({reason}).",
    },
    # ---- the model
    "I can't think right now: the language model does not answer. Please try again in a minute.": {
        "de": "Ich kann gerade nicht denken: Das Sprachmodell antwortet nicht. Bitte versuchen Sie es in einer Minute "
        "noch einmal.",
        "es": "Ahora mismo no puedo pensar: el modelo de lenguaje no responde. Inténtelo de nuevo en un minuto, por favor.",
        "fr": "Je ne peux pas réfléchir en ce moment : le modèle de langage ne répond pas. Veuillez réessayer dans une "
        "minute.",
        "ar": "لا أستطيع التفكير الآن: النموذج اللغوي لا يستجيب. يُرجى المحاولة مرة أخرى بعد دقيقة.",
    },
    "I am not set up correctly yet. The owner of this page has to look at the model's settings.": {
        "de": "Ich bin noch nicht richtig eingerichtet. Der Betreiber dieser Seite muss sich die Einstellungen des "
        "Modells ansehen.",
        "es": "Todavía no estoy bien configurado. El responsable de esta página debe revisar los ajustes del modelo.",
        "fr": "Je ne suis pas encore correctement configuré. Le responsable de cette page doit vérifier les réglages du "
        "modèle.",
        "ar": "لم يكتمل إعدادي بشكل صحيح بعد. على صاحب هذه الصفحة مراجعة إعدادات النموذج.",
    },
    "This conversation has become too long for me. Please start a new one.": {
        "de": "Diese Unterhaltung ist mir zu lang geworden. Bitte beginnen Sie eine neue.",
        "es": "Esta conversación se ha hecho demasiado larga para mí. Empiece una nueva, por favor.",
        "fr": "Cette conversation est devenue trop longue pour moi. Veuillez en commencer une nouvelle.",
        "ar": "أصبحت هذه المحادثة أطول مما أستطيع متابعته. يُرجى بدء محادثة جديدة.",
    },
    "My answer was cut off. Say “continue” and I go on.": {
        "de": "Meine Antwort wurde abgeschnitten. Sagen Sie „weiter“, und ich fahre fort.",
        "es": "Mi respuesta se ha cortado. Diga «continúe» y seguiré.",
        "fr": "Ma réponse a été coupée. Dites « continuez » et je reprends.",
        "ar": "انقطعت إجابتي. قل «تابع» وسأكمل.",
    },
    "My answer became too long. Say “continue” and I go on.": {
        "de": "Meine Antwort ist zu lang geworden. Sagen Sie „weiter“, und ich fahre fort.",
        "es": "Mi respuesta se ha hecho demasiado larga. Diga «continúe» y seguiré.",
        "fr": "Ma réponse est devenue trop longue. Dites « continuez » et je reprends.",
        "ar": "أصبحت إجابتي طويلة جدًا. قل «تابع» وسأكمل.",
    },
    "I can't say the rest of that.": {
        "de": "Den Rest davon kann ich nicht sagen.",
        "es": "No puedo decir el resto.",
        "fr": "Je ne peux pas dire la suite.",
        "ar": "لا أستطيع قول بقية ذلك.",
    },
    "That took me too many steps. Could you ask for one thing at a time?": {
        "de": "Das waren für mich zu viele Schritte. Könnten Sie um eine Sache nach der anderen bitten?",
        "es": "He necesitado demasiados pasos. ¿Podría pedirme las cosas de una en una?",
        "fr": "Cela m'a demandé trop d'étapes. Pourriez-vous demander une chose à la fois ?",
        "ar": "تطلّب ذلك مني خطوات كثيرة جدًا. هل يمكنك طلب شيء واحد في كل مرة؟",
    },
    "That took me too long. Please try it again, perhaps in smaller steps.": {
        "de": "Das hat bei mir zu lange gedauert. Bitte versuchen Sie es noch einmal, vielleicht in kleineren Schritten.",
        "es": "He tardado demasiado. Inténtelo de nuevo, por favor, quizá en pasos más pequeños.",
        "fr": "Cela m'a pris trop de temps. Veuillez réessayer, peut-être par étapes plus petites.",
        "ar": "استغرق ذلك مني وقتًا طويلًا. يُرجى المحاولة مرة أخرى، وربما على خطوات أصغر.",
    },
    "That did not work.": {
        "de": "Das hat nicht geklappt.",
        "es": "No ha funcionado.",
        "fr": "Cela n'a pas fonctionné.",
        "ar": "لم ينجح ذلك.",
    },
    "That is out of order at the moment.": {
        "de": "Das ist im Moment außer Betrieb.",
        "es": "Eso no está disponible en este momento.",
        "fr": "Cela est hors service pour le moment.",
        "ar": "هذا غير متاح في الوقت الحالي.",
    },
    "That is out of order at the moment. Please try again in a minute.": {
        "de": "Das ist im Moment außer Betrieb. Bitte versuchen Sie es in einer Minute noch einmal.",
        "es": "Eso no está disponible en este momento. Inténtelo de nuevo en un minuto, por favor.",
        "fr": "Cela est hors service pour le moment. Veuillez réessayer dans une minute.",
        "ar": "هذا غير متاح في الوقت الحالي. يُرجى المحاولة مرة أخرى بعد دقيقة.",
    },
    "That took too long.": {
        "de": "Das hat zu lange gedauert.",
        "es": "Ha tardado demasiado.",
        "fr": "Cela a pris trop de temps.",
        "ar": "استغرق ذلك وقتًا طويلًا.",
    },
    # ---- what waits for an answer
    "This was already settled.": {
        "de": "Das ist schon erledigt.",
        "es": "Esto ya está resuelto.",
        "fr": "Cela est déjà réglé.",
        "ar": "سبق البتّ في هذا الأمر.",
    },
    "This was already decided.": {
        "de": "Das ist schon entschieden.",
        "es": "Esto ya está decidido.",
        "fr": "Cela est déjà décidé.",
        "ar": "سبق اتخاذ القرار في هذا الأمر.",
    },
    "This was already answered.": {
        "de": "Das ist schon beantwortet.",
        "es": "Esto ya está respondido.",
        "fr": "Il a déjà été répondu à cela.",
        "ar": "سبقت الإجابة عن هذا.",
    },
    "This was already approved.": {
        "de": "Das wurde schon bestätigt.",
        "es": "Esto ya se ha confirmado.",
        "fr": "Cela a déjà été confirmé.",
        "ar": "سبق تأكيد هذا.",
    },
    "This was already approved with other values.": {
        "de": "Das wurde schon mit anderen Angaben bestätigt.",
        "es": "Esto ya se ha confirmado con otros datos.",
        "fr": "Cela a déjà été confirmé avec d'autres valeurs.",
        "ar": "سبق تأكيد هذا بقيم أخرى.",
    },
    "This was already rejected.": {
        "de": "Das wurde schon abgelehnt.",
        "es": "Esto ya se ha rechazado.",
        "fr": "Cela a déjà été refusé.",
        "ar": "سبق رفض هذا.",
    },
    "This is no longer needed.": {
        "de": "Das ist nicht mehr nötig.",
        "es": "Esto ya no es necesario.",
        "fr": "Cela n'est plus nécessaire.",
        "ar": "لم يعد هذا مطلوبًا.",
    },
    "The time to confirm this is over. Please ask for it again.": {
        "de": "Die Zeit, das zu bestätigen, ist um. Bitte fragen Sie noch einmal danach.",
        "es": "El plazo para confirmarlo ha terminado. Pídalo de nuevo, por favor.",
        "fr": "Le délai pour confirmer est écoulé. Veuillez refaire votre demande.",
        "ar": "انتهت مهلة التأكيد. يُرجى طلب ذلك من جديد.",
    },
    "Only the customer can decide this.": {
        "de": "Das kann nur die Kundin oder der Kunde entscheiden.",
        "es": "Solo el cliente puede decidir esto.",
        "fr": "Seul le client peut en décider.",
        "ar": "لا يمكن لغير العميل اتخاذ هذا القرار.",
    },
    "These values do not fit: {problem}": {  # the problem names the tool's own fields, and stays as it is
        "de": "Diese Angaben passen nicht: {problem}",
        "es": "Estos datos no son válidos: {problem}",
        "fr": "Ces valeurs ne conviennent pas : {problem}",
        "ar": "هذه القيم غير مناسبة: {problem}",
    },
    "Everything that waits for an answer has to be answered at once.": {
        "de": "Alles, was auf eine Antwort wartet, muss auf einmal beantwortet werden.",
        "es": "Todo lo que espera respuesta debe responderse a la vez.",
        "fr": "Il faut répondre en une seule fois à tout ce qui attend une réponse.",
        "ar": "يجب الإجابة دفعة واحدة عن كل ما ينتظر إجابة.",
    },
    # ---- what is on the screen
    "There is a newer version of this. Please look at that one.": {
        "de": "Davon gibt es eine neuere Fassung. Bitte sehen Sie sich diese an.",
        "es": "Hay una versión más reciente. Consulte esa, por favor.",
        "fr": "Il en existe une version plus récente. Veuillez consulter celle-ci.",
        "ar": "توجد نسخة أحدث من هذا. يُرجى الاطلاع عليها.",
    },
    "This is no longer valid. Ask for a new one, it takes a moment.": {
        "de": "Das gilt nicht mehr. Fragen Sie nach einem neuen, es dauert nur einen Moment.",
        "es": "Esto ya no es válido. Pida uno nuevo, es solo un momento.",
        "fr": "Ceci n'est plus valable. Demandez-en un nouveau, cela ne prend qu'un instant.",
        "ar": "لم يعد هذا صالحًا. اطلب واحدًا جديدًا، فلن يستغرق ذلك سوى لحظة.",
    },
    "This can no longer be answered. Ask for a new one.": {
        "de": "Das kann nicht mehr beantwortet werden. Bitte fragen Sie nach einem neuen.",
        "es": "Esto ya no se puede responder. Pida uno nuevo, por favor.",
        "fr": "Il n'est plus possible d'y répondre. Veuillez en demander un nouveau.",
        "ar": "لم تعد الإجابة عن هذا ممكنة. يُرجى طلب واحد جديد.",
    },
    "This is too old to be answered. Ask for a new one.": {
        "de": "Das ist zu alt, um noch beantwortet zu werden. Bitte fragen Sie nach einem neuen.",
        "es": "Esto es demasiado antiguo para responderlo. Pida uno nuevo, por favor.",
        "fr": "Ceci est trop ancien pour qu'on y réponde. Veuillez en demander un nouveau.",
        "ar": "هذا قديم جدًا ولا تمكن الإجابة عنه. يُرجى طلب واحد جديد.",
    },
    # ---- what the customer fills in; the label is the agent's
    "{label} is needed": {
        "de": "{label}: Bitte ausfüllen",
        "es": "{label}: rellene este campo, por favor",
        "fr": "{label} : veuillez remplir ce champ",
        "ar": "{label}: يُرجى ملء هذا الحقل",
    },
    "{label} must be text": {
        "de": "{label}: Hier gehört Text hin",
        "es": "{label}: debe ser texto",
        "fr": "{label} : du texte est attendu",
        "ar": "{label}: يجب أن يكون نصًا",
    },
    "{label} may have {most} characters at most": {
        "de": "{label}: Höchstens {most} Zeichen",
        "es": "{label}: {most} caracteres como máximo",
        "fr": "{label} : {most} caractères au maximum",
        "ar": "{label}: الحد الأقصى للأحرف هو {most}",
    },
    "{label} is not an e-mail address": {
        "de": "{label}: Das ist keine E-Mail-Adresse",
        "es": "{label}: no es una dirección de correo electrónico",
        "fr": "{label} : ce n'est pas une adresse e-mail",
        "ar": "{label}: هذا ليس عنوان بريد إلكتروني",
    },
    "{label} is not a telephone number": {
        "de": "{label}: Das ist keine Telefonnummer",
        "es": "{label}: no es un número de teléfono",
        "fr": "{label} : ce n'est pas un numéro de téléphone",
        "ar": "{label}: هذا ليس رقم هاتف",
    },
    "{label} must be a date such as 2026-11-02": {
        "de": "{label}: Bitte ein Datum wie 2026-11-02 angeben",
        "es": "{label}: debe ser una fecha como 2026-11-02",
        "fr": "{label} : une date comme 2026-11-02 est attendue",
        "ar": "{label}: يجب أن يكون تاريخًا مثل 2026-11-02",
    },
    "{label} must be a number": {
        "de": "{label}: Bitte eine Zahl angeben",
        "es": "{label}: debe ser un número",
        "fr": "{label} : un nombre est attendu",
        "ar": "{label}: يجب أن يكون رقمًا",
    },
    "{label} must be at least {least}": {
        "de": "{label}: Mindestens {least}",
        "es": "{label}: {least} como mínimo",
        "fr": "{label} : {least} au minimum",
        "ar": "{label}: الحد الأدنى هو {least}",
    },
    "{label} must be at most {most}": {
        "de": "{label}: Höchstens {most}",
        "es": "{label}: {most} como máximo",
        "fr": "{label} : {most} au maximum",
        "ar": "{label}: الحد الأقصى هو {most}",
    },
    "{label} must be one of {options}": {
        "de": "{label}: Bitte eins davon wählen: {options}",
        "es": "{label}: elija una de estas opciones: {options}",
        "fr": "{label} : choisissez parmi {options}",
        "ar": "{label}: يُرجى اختيار أحد الخيارات التالية: {options}",
    },
    "{label} must be ticked or not": {
        "de": "{label}: Bitte ankreuzen oder frei lassen",
        "es": "{label}: márquelo o déjelo sin marcar",
        "fr": "{label} : cochez la case ou laissez-la vide",
        "ar": "{label}: يُرجى وضع علامة أو ترك الخانة فارغة",
    },
    "this form has no such field": {
        "de": "Dieses Formular hat kein solches Feld",
        "es": "Este formulario no tiene ese campo",
        "fr": "Ce formulaire n'a pas un tel champ",
        "ar": "لا يوجد حقل كهذا في هذا النموذج",
    },
    "there is no option {option}": {
        "de": "Eine Möglichkeit {option} gibt es nicht",
        "es": "No existe la opción {option}",
        "fr": "Il n'y a pas d'option {option}",
        "ar": "لا يوجد خيار {option}",
    },
    "only one may be chosen": {
        "de": "Nur eins kann gewählt werden",
        "es": "Solo se puede elegir una opción",
        "fr": "Un seul choix est possible",
        "ar": "لا يمكن اختيار أكثر من خيار واحد",
    },
    "there is no item {item}": {
        "de": "Einen Punkt {item} gibt es nicht",
        "es": "No existe el punto {item}",
        "fr": "Il n'y a pas de point {item}",
        "ar": "لا يوجد بند {item}",
    },
    "must not be empty": {
        "de": "Das darf nicht leer sein",
        "es": "No puede estar vacío",
        "fr": "Cela ne peut pas être vide",
        "ar": "لا يمكن أن يكون هذا فارغًا",
    },
    "at most {most} bytes": {
        "de": "Das ist zu lang: höchstens {most} Bytes",
        "es": "Es demasiado largo: {most} bytes como máximo",
        "fr": "C'est trop long : {most} octets au maximum",
        "ar": "هذا طويل جدًا: الحد الأقصى {most} بايت",
    },
    "must be valid Unicode": {
        "de": "Das enthält ungültige Zeichen",
        "es": "Contiene caracteres no válidos",
        "fr": "Cela contient des caractères non valides",
        "ar": "يحتوي هذا على أحرف غير صالحة",
    },
    # ---- speaking
    "We can't talk just now. Writing works; please try the microphone again later.": {
        "de": "Sprechen geht gerade nicht. Schreiben geht; bitte versuchen Sie es später noch einmal mit dem Mikrofon.",
        "es": "Ahora mismo no podemos hablar. Escribir sí es posible; pruebe el micrófono más tarde, por favor.",
        "fr": "Nous ne pouvons pas parler en ce moment. Écrire fonctionne ; veuillez réessayer le microphone plus tard.",
        "ar": "لا يمكننا التحدث الآن. الكتابة متاحة؛ يُرجى تجربة الميكروفون لاحقًا.",
    },
    "You are speaking with us on another device already.": {
        "de": "Sie sprechen schon auf einem anderen Gerät mit uns.",
        "es": "Ya está hablando con nosotros en otro dispositivo.",
        "fr": "Vous parlez déjà avec nous sur un autre appareil.",
        "ar": "أنت تتحدث معنا على جهاز آخر بالفعل.",
    },
    "This voice session is over.": {
        "de": "Dieses Gespräch ist beendet.",
        "es": "Esta llamada ha terminado.",
        "fr": "Cet appel est terminé.",
        "ar": "انتهت هذه المكالمة.",
    },
    "This turn is over.": {
        "de": "Das ist schon vorbei.",
        "es": "Esto ya ha terminado.",
        "fr": "Cela est déjà terminé.",
        "ar": "لقد انتهى هذا بالفعل.",
    },
}
LANGUAGES = ("en", "de", "es", "fr", "ar")


def said_in(language: str | None, english: str) -> str:
    """As it is where the language is none of the five, and where it is no sentence of ours: an owner's, a developer's."""
    template, values = (english.template, english.values) if isinstance(english, Sentence) else (english, None)
    line = _LINES.get(template, {}).get((language or "en").partition("-")[0])
    if line is None:
        return str(english)
    return line if values is None else line.format(**values)
