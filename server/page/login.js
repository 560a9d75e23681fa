document.getElementById("wrong").hidden = !location.search.startsWith("?wrong");
