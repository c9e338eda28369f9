import time, requests, sys, collections
from real.test_n8n import *
def test_probe(real_n8n_2):
    s=real_n8n_2
    seen=collections.Counter()
    for n in range(40):
        rut=f"{76000000+n}-5"
        run(s,rut)
        t=time.time(); 
        while call_now(s,f"{rut}/shopify-orders")==404 and time.time()-t<5: time.sleep(.02)
        up=time.time()-t
        r=run(s,rut,state="suspended"); seen[str(r["results"][0]["error"])]+=1
        t=time.time()
        while call_now(s,f"{rut}/shopify-orders")==200 and time.time()-t<5: time.sleep(.02)
        down=time.time()-t
        r=run(s,rut); seen[str(r["results"][0]["error"])]+=1
        r=run(s,rut,state="absent"); seen[str(r["results"][0]["error"])]+=1
        t=time.time()
        while call_now(s,f"{rut}/shopify-orders")==200 and time.time()-t<5: time.sleep(.02)
        print(n, round(up,3), round(down,3), round(time.time()-t,3))
    print(seen)
