"""What the customer is told when voice breaks or ends: said aloud where that can be, and always written in the log.

These are the system's own words, no model's, in the five languages that a team may speak.
"""

from __future__ import annotations

from typing import Literal

#: `pipeline`: a realtime model is gone, its call goes on. `speech`: nothing can be heard or said any more. `lost`: the
#: line or the worker is gone. `soon` and `limit`: a call has its length. `screen`: in the place of a list or a table.
Line = Literal["pipeline", "speech", "lost", "soon", "limit", "screen"]

_LINES: dict[str, dict[Line, str]] = {
    "en": {
        "pipeline": "One moment: my line was interrupted. I am still here, please go on.",
        "speech": "I can't hear or speak properly just now. Let's go on in writing; nothing is lost.",
        "lost": "I can't hear you any more: the voice connection broke. We can go on in writing, nothing is lost.",
        "soon": "This call will end in about a minute, because calls are limited. We can go on in writing after that.",
        "limit": "The time for this call is over. We can go on in writing, or you call again; nothing is lost.",
        "screen": "You see it on your screen.",
    },
    "de": {
        "pipeline": "Einen Moment: Meine Leitung war unterbrochen. Ich bin noch da, bitte sprechen Sie weiter.",
        "speech": "Ich kann gerade nicht richtig hören oder sprechen. Machen wir schriftlich weiter; es ist nichts verloren.",
        "lost": "Ich höre Sie nicht mehr: Die Sprachverbindung ist abgebrochen. Schriftlich geht es weiter, es ist nichts "
        "verloren.",
        "soon": "Dieses Gespräch endet in etwa einer Minute, denn Gespräche sind zeitlich begrenzt. Danach geht es "
        "schriftlich weiter.",
        "limit": "Die Zeit für dieses Gespräch ist um. Schriftlich geht es weiter, oder Sie rufen noch einmal an; es ist "
        "nichts verloren.",
        "screen": "Sie sehen es auf Ihrem Bildschirm.",
    },
    "es": {
        "pipeline": "Un momento: mi línea se ha interrumpido. Sigo aquí, continúe, por favor.",
        "speech": "Ahora mismo no puedo oír ni hablar bien. Sigamos por escrito; no se ha perdido nada.",
        "lost": "Ya no le oigo: se ha cortado la conexión de voz. Podemos seguir por escrito, no se ha perdido nada.",
        "soon": "Esta llamada terminará en un minuto, porque su duración es limitada. Después podemos seguir por escrito.",
        "limit": "El tiempo de esta llamada ha terminado. Podemos seguir por escrito, o puede llamar de nuevo; no se ha "
        "perdido nada.",
        "screen": "Lo ve en su pantalla.",
    },
    "fr": {
        "pipeline": "Un instant : ma ligne a été interrompue. Je suis toujours là, continuez, je vous prie.",
        "speech": "Je n'arrive plus à bien entendre ni à parler. Continuons par écrit ; rien n'est perdu.",
        "lost": "Je ne vous entends plus : la connexion vocale est coupée. Nous pouvons continuer par écrit, rien n'est "
        "perdu.",
        "soon": "Cet appel se terminera dans une minute environ, car sa durée est limitée. Nous pourrons ensuite "
        "continuer par écrit.",
        "limit": "Le temps de cet appel est écoulé. Nous pouvons continuer par écrit, ou vous pouvez rappeler ; rien n'est "
        "perdu.",
        "screen": "Vous le voyez à l'écran.",
    },
    "ar": {
        "pipeline": "لحظة من فضلك: انقطع خطي للتو. ما زلت هنا، تفضل بالمتابعة.",
        "speech": "لا أستطيع السمع أو الكلام جيدًا الآن. لنتابع كتابةً؛ لم يضع شيء.",
        "lost": "لم أعد أسمعك: انقطع الاتصال الصوتي. يمكننا المتابعة كتابةً، ولم يضع شيء.",
        "soon": "ستنتهي هذه المكالمة بعد دقيقة تقريبًا، لأن مدة المكالمات محدودة. بعد ذلك يمكننا المتابعة كتابةً.",
        "limit": "انتهى وقت هذه المكالمة. يمكننا المتابعة كتابةً، أو يمكنك الاتصال مرة أخرى؛ لم يضع شيء.",
        "screen": "تراه على شاشتك.",
    },
}
LANGUAGES = tuple(_LINES)


def line(which: Line, language: str | None) -> str:
    """In English where the language is none of the five."""
    return _LINES.get((language or "en").partition("-")[0], _LINES["en"])[which]
