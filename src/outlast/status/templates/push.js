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
  event.waitUntil(
    self.registration.showNotification(said.title || "Outlast", {
      body: said.body || "",
      lang: said.lang || "en",
      tag: said.tag || "outlast",
      renotify: true,
      data: { url: said.url || "/status" },
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const place = new URL(event.notification.data.url, self.location.origin);
  const ours = place.origin === self.location.origin ? place.href : "/status";
  event.waitUntil(self.clients.openWindow(ours));
});
