"""What the invented company is made of. Names are common ones, telephone numbers are those set aside for drama."""

# ruff: noqa: SIM905 - lists of words read better as text

from __future__ import annotations

FIRST = (
    "Ada Alan Amelia Anjali Arthur Beatrice Björn Carys Chloé Ciarán Daniela David Dorothy Edwin Elif Emeka Fatima Felix "
    "Freya George Grace Hamza Hannah Hugo Imogen Ingrid Ivan Jack Jean-Luc Joan Józef Karim Katherine Keira Leon Liam Lucía "
    "Maeve Margaret Mateusz Mei Mohammed Nadia Niamh Noah Olga Oscar Padraig Petra Priya Quentin Rachel Ravi Rosalind Ruth "
    "Saoirse Sean Sofia Søren Tariq Tessa Tom Uma Valerie Victor Wanda William Xin Yusuf Zoë"
).split()
LAST = (
    "Adams|Ahmed|Andersson|Bailey|Becker|Begum|Bennett|Brown|Byrne|Campbell|Chen|Clarke|Cooper|Daly|Davies|de Vries|Doyle|"
    "Dubois|Evans|Fischer|Fitzgerald|Flynn|Foster|García|Gallagher|Graham|Gray|Green|Hall|Hansen|Harris|Hoffmann|Hughes|"
    "Hussain|Jackson|Jones|Kaur|Kelly|Khan|Kowalski|Lambert|Larsen|Lewis|Lovelace|MacDonald|Martin|McCarthy|Meyer|Mitchell|"
    "Moore|Müller|Murphy|Nguyen|Nowak|O'Brien|O'Neill|Okafor|Olsen|Patel|Petit|Quinn|Reid|Roberts|Rossi|Ryan|Schäfer|Schmidt|"
    "Scott|Shah|Singh|Smith|Stewart|Sørensen|Taylor|Thompson|Turner|van der Berg|Walker|Walsh|Ward|Weber|White|Wilson|Wood|"
    "Wright|Young|Zielińska"
).split("|")
PLACE = (
    "Ashford Bridgend Calder Dunmore Eastleigh Fairford Galway Harrow Ilkley Jarrow Kendal Larne Malvern Newbury Oakham "
    "Penrith Quorn Ripon Selby Tiverton Ullapool Ventnor Whitby Yeovil"
).split()
TRADE = (
    "Bakery|Bearings|Cables|Castings|Cleaning|Dairy|Electronics|Engineering|Fabrics|Foods|Foundry|Freight|Glass|Instruments|"
    "Interiors|Joinery|Kitchens|Lighting|Logistics|Machines|Marine|Media|Metals|Optics|Packaging|Paints|Paper|Pharma|Plastics|"
    "Printing|Pumps|Roofing|Seeds|Software|Steel|Systems|Textiles|Timber|Tools|Valves"
).split("|")
FORM = ("Ltd", "Ltd.", "Limited", "plc", "LLP", "GmbH", "BV", "& Co", "&amp; Sons", "")
SIC = ("01", "10", "25", "26", "41", "47", "49", "62", "86", "99", "")
COUNTRY = (
    "UK", "U.K.", "uk", "United Kingdom", "England", "england ", "Scotland", "Wales", "GB", "Great  Britain", "Ireland", "Eire",
    "IE", "Germany", "Deutschland", "DE", "France", "FR", "Holland", "Netherlands", "NO", "Norge", "Sweden", "",
)  # fmt: skip
DEAL = (
    "Renewal",
    "Pilot",
    "Extension",
    "Framework contract",
    "Support",
    "Training",
    "Spare parts",
    "New site",
    "Upgrade",
)
STAGE = (
    "New", "open", "Qualified", "Proposal", "proposal sent", "Quote", "Negotiating", "negotiation", "Won", "closed won",
    "Closed - Won", "Lost", "Closed  Lost",
)  # fmt: skip
REMARK = (
    "Called, will ring back on Monday.",
    "Wants a quote for the new site 👍",
    "Met at the fair; interested in training.",
    "Complained about the last delivery, sorted out since.",
    "Birthday cake went down well 🎂🎉",
    "Prefers e-mail &amp; no calls before ten.",
    "Naïve about prices; café meeting in spring.",
    "Budget is frozen until April.",
    "Asked for references — sent three.",
    "株式会社 is the parent of her new employer.",
)
MONTH = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
