"use strict";
// What a push service brings is shown as it came: words, language and link were made for this
// subscriber, and sealed so that nobody between could change them.
self.addEventListener("push", (event) => {
  let said = {};
  try {
    said = event.data.json();
  } catch {
    // A push must show something; without words it leads to the page.
  }
  event.waitUntil(show(said.title || "Outlast", said));
});

// The browser's vendor has ended the address that we were given. What comes next would not arrive,
// so whoever reads here is asked to press the button again.
const ENDED = {
  en: ["Notices have ended", "Your browser has a new address. Subscribe again to go on."],
  fr: [
    "Les avis sont arrêtés",
    "Votre navigateur a une nouvelle adresse. Abonnez-vous à nouveau pour continuer.",
  ],
};
self.addEventListener("pushsubscriptionchange", (event) => {
  const lang = new URL(self.location).searchParams.get("lang") === "fr" ? "fr" : "en";
  const [title, body] = ENDED[lang];
  const url = `/status/subscribe?lang=${lang}`;
  event.waitUntil(show(title, { body, lang, url, tag: "ended" }));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const place = new URL(event.notification.data.url, self.location.origin);
  const ours = place.origin === self.location.origin ? place.href : "/status";
  event.waitUntil(self.clients.openWindow(ours));
});

function show(title, said) {
  return self.registration.showNotification(title, {
    body: said.body || "",
    lang: said.lang || "en",
    tag: said.tag || "outlast",
    renotify: true,
    data: { url: said.url || "/status" },
  });
}
