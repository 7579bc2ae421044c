@	SOA ns1 hostmaster (
	1    ; serial
	7200 ; refresh
	30M  ; retry
	3D   ; expire
	900 )
	NS ns1
	MX 10 mail
ns1	A 192.0.2.1

; what plugins answer
mail	300	DYNA static!mail
shop	300	DYNC static!shop
pair	60/10	DYNA simplefo!pair
	TXT "it inherits its owner"
moved	60	DYNA simplefo!moved
both	60	DYNA simplefo!both
dead	60/60	DYNA simplefo!dead
web	30	DYNA multifo!web
partly	30	DYNA multifo!partly
plain	30	DYNA multifo!plain
canary	10	DYNA weighted!canary
names	2d	DYNC weighted!names
flat	30	DYNA weighted!flat
racks	30	DYNA weighted!racks
hub	30	DYNC metafo!hub
hub-neu	30	DYNC metafo!hub/neu
fleet	30	DYNC metafo!names
failed	30	DYNA metafo!failed
near	30	DYNA geoip!near
dialled	30	DYNA multifo!dialled
single	30	DYNA multifo!single
reported	30	DYNA multifo!reported
watched	30	DYNA multifo!watched
me	10	DYNA reflect
*.apps	30	DYNA multifo!web

$ORIGIN sub
www	IN 1h A 192.0.2.80
$ORIGIN deep.@Z
www	CNAME www.sub.@Z
