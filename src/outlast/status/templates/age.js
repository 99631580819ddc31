(function(){var t=document.getElementById("made"),o=document.getElementById("old");
function f(){o.hidden=Date.now()-Date.parse(t.dateTime)<180000}f();setInterval(f,15000)})()
