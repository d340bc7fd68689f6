// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Tokens made with PyJWT, and the keys that they were signed with.
enum TokenVectors {
    static let keys =
        #"{"keys":[{"kty":"RSA","n":"zETbTIiUuDrYFjCi99M_oUA5QDkY15zMjh2IX-gd041mP"#
        + #"DiRzs0g1I3cXVD7wJ-tOTYREZeBK6lmXFYdOVGXFJpN3Zd1VyMu79nYRykllO5V0_KjWDblY"#
        + #"0zaCorYEfo8P6Whi-4Bq-L9wo4S0fc-ybYf8x9tdtq9M0cE58TChekAeqd1JlEF7R9sWPrZT"#
        + #"mLljFQ2R50rY7WtrsFxEWoPjAOXJGBUUXjYYH3BJtTdRnCgftocM2pCrsl3yA5ANj9HqlYmw"#
        + #"wjIlgGgUd_CA_0cUKrcy4K_9DZR6fy6HgxcWeV9y9_tFPuFmhIcWELu6fo7A1gfCC929_uyU"#
        + #"joMiWLNKQ","e":"AQAB","kid":"RS"},{"kty":"EC","crv":"P-256","x":"2_hfeZl"#
        + #"aEZ4g97u-7No2EhQJX9A-bsAwCBfObkhN23I","y":"BguVg1WGyc7srbQaZv-8GvDNXTns3"#
        + #"6H5RpDF2jRa434","kid":"ES256"},{"kty":"EC","crv":"P-384","x":"Fgf_PZpIVp"#
        + #"mX6dc-TmtYaj9Rb2QWSUDlaW_CU49Ym5nm0yNIwjOYVhnTMcLUicn_","y":"BNFeOTV5Sle"#
        + #"GXnmlS0RzoVifmPkekBNa-vxTkMOo8F8R7K6RsOdxvyR9cxOQ1L2c","kid":"ES384"},{""#
        + #"x":"geyinFaFAAM81-JYiDFuJ0qYUIoga9NyJriIDLX0NUs","kty":"OKP","crv":"Ed25"#
        + #"519","kid":"EdDSA"}]}"#

    static let tokens: [String: String] = [
        "RS256": "eyJhbGciOiJSUzI1NiIsImtpZCI6IlJTIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lk"
            + "cCIsImF1ZCI6Im1hcnRsZXQiLCJzdWIiOiJ1MSIsImV4cCI6MjAwMDAwMDAwMCwiaWF0IjoxNzAw"
            + "MDAwMDAwLCJvcmciOnsidGVuYW50IjoiYWNtZSJ9LCJtb2RlbHMiOiJtIG4ifQ.IuLCbPte5sx_e"
            + "OSKVEw5ZtSGNZcfdfPo0tYoYnqaBw_T68DKXo9RAXHzQM3k1wuwg02TSfW_VfCI-ywsPWxfB0ttC"
            + "aqc8T1XSbdAn_3i1NRonNcRu2WBzEtyzCs6vVMj_6Xobkw9Kel9EY9lrV6vkr2X_1xfX2euLgWTl"
            + "FTKAXheDhTtbtSNWbFSqUjv4Me2ocUY2cyjY9PHPTLzfIipYP60x-2Z_Z8PhvdTfsNDY-KPgfUut"
            + "6AOLd3qjpZxXfttHF0UoSDI5tfzyXZaEWbYsdcDDpUsNXhXnxcV51HGHB_daZXkDs256lcnNSLsy"
            + "9FDKaJMf6aimplV9uUNm2Zzwg",
        "RS384": "eyJhbGciOiJSUzM4NCIsImtpZCI6IlJTIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lk"
            + "cCIsImF1ZCI6Im1hcnRsZXQiLCJzdWIiOiJ1MSIsImV4cCI6MjAwMDAwMDAwMCwiaWF0IjoxNzAw"
            + "MDAwMDAwLCJvcmciOnsidGVuYW50IjoiYWNtZSJ9LCJtb2RlbHMiOiJtIG4ifQ.v_CzfYLgTD4lf"
            + "Na2ojJE2pzzQ_vy3-dqem_XhkUHdxK9w5MkkZfah0SQDQUfjAZ78PO_uyV0kR9ZdDynIWbLnne38"
            + "gkGIxCRC4HJwkYIzOeCFVhrYRNbP3FZZttlgYx-aNEAG_LQpJYojgdByqCRgL5LsUjFh2uMGhDe1"
            + "jvMY2iWz6S-v7W3a03ZFiVjB9-sfEi2JPpclEMhaiNm45KgeAPE1CC5cwAmj20kIUQuN_9S8NMeP"
            + "FJ-6ehpL1Eh-4UtwyRpfS4JzdpO15KPHFYi_L5M6rAHbhP5Zy4wRxH_bBFt0B5bIOm5y4mmWORXE"
            + "6risSCMKpOAAkIcC3Sh4ARUlQ",
        "RS512": "eyJhbGciOiJSUzUxMiIsImtpZCI6IlJTIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lk"
            + "cCIsImF1ZCI6Im1hcnRsZXQiLCJzdWIiOiJ1MSIsImV4cCI6MjAwMDAwMDAwMCwiaWF0IjoxNzAw"
            + "MDAwMDAwLCJvcmciOnsidGVuYW50IjoiYWNtZSJ9LCJtb2RlbHMiOiJtIG4ifQ.hTlEE05mZ0mVa"
            + "20Gfnx2WkHaA3OTMLNc_zYXbr8vyt_a0Mj37jPfmGm11WPZ4RBVA82yf1qffvxmEu1qGfc_FddOl"
            + "VNCEqIASKV-NEaH-4XwcFjsrJBXQpjMFfFjhA4-DiOjEWITQSshnuYDSEEcRlXHBT1wLWBG1oVSy"
            + "7D5Qo31ylxSEY2LdV9Iosdz27pOlx_jT1EG4WDITnF_fvrIyZGOxUNl-YzpBTH9evAS93OL3Kc5X"
            + "hAsJHriPNxud4PAcs26nxkjtLmCf-nDIs9WOMGs4nXVXheoBy0RsO8xp4GfLmTIaGbdViNz0KdL6"
            + "Jv3YfNL_sQVVOGV-jr69SZ9xg",
        "PS256": "eyJhbGciOiJQUzI1NiIsImtpZCI6IlJTIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lk"
            + "cCIsImF1ZCI6Im1hcnRsZXQiLCJzdWIiOiJ1MSIsImV4cCI6MjAwMDAwMDAwMCwiaWF0IjoxNzAw"
            + "MDAwMDAwLCJvcmciOnsidGVuYW50IjoiYWNtZSJ9LCJtb2RlbHMiOiJtIG4ifQ.H6dD4BVHR6_hR"
            + "oK8F5RLbbsltgW-YGVD75X4uU2lep262e7bctizPVd8yu87-wtgEwHC06AHy9LUCCj35SUjGCjgH"
            + "gDvs8z-nrRLxT1qduDwP82ykG2ZTp5IVs2Mj8iuZSv-oE-IpER2wvrMs23EDi-pmA_lmrjKZH9QY"
            + "PWrIyZX7jrudV2t5IYoLKjubLu2YJKwxGHBPheWbF_5hW_guj9eJ3Iv9oc9PmU1vDi0P7AA6vC2o"
            + "8lgkmpkc2q_kL60QPEG1QBvka71LWHbheja-b0mtotD5xVHAlCNmJfRX5WNMIE-WaWecCpMBG67c"
            + "NaUo2KC8dalWBzvM5qtCHwJDA",
        "PS384": "eyJhbGciOiJQUzM4NCIsImtpZCI6IlJTIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lk"
            + "cCIsImF1ZCI6Im1hcnRsZXQiLCJzdWIiOiJ1MSIsImV4cCI6MjAwMDAwMDAwMCwiaWF0IjoxNzAw"
            + "MDAwMDAwLCJvcmciOnsidGVuYW50IjoiYWNtZSJ9LCJtb2RlbHMiOiJtIG4ifQ.wnAXSOPu4PQxk"
            + "WLWiAlry1C3wtaxSq3cjrK2C70BnBwPCwhH6BNrO5dLMBdsBP3o1Ez5qigICLL7HW42Ni-SAtADU"
            + "jcgYnwOMC63Z93d-mVO_xhv0M5_WgVCaJqpGu9CtxG0NCYqAY_tSBe4f8A6ipS9rzgzfWDrKJYj4"
            + "9NluNYvcpcg1h_LXhOXz4EBuuFZD2yz9GhXKx0HLWsEdIGiB-wUMsuzhPvJSfnktb-JdlFEfhEEP"
            + "VgYT2FvmuPydUd5jw92q5glB564e_45dLJ1fL8OvcKNn62yiGOsY9HaqT8tnpw1x6haOTNtPcABB"
            + "naXVdNKRm_6LDTOYynWGWFRJw",
        "PS512": "eyJhbGciOiJQUzUxMiIsImtpZCI6IlJTIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lk"
            + "cCIsImF1ZCI6Im1hcnRsZXQiLCJzdWIiOiJ1MSIsImV4cCI6MjAwMDAwMDAwMCwiaWF0IjoxNzAw"
            + "MDAwMDAwLCJvcmciOnsidGVuYW50IjoiYWNtZSJ9LCJtb2RlbHMiOiJtIG4ifQ.Wkie8xOmOD-Zi"
            + "sOhiTdpzW4vdPzYdGU8SbdO2SLs1RhzPsRxr59VugtHbpVXxqHxk4oNbvMnx8JAluqspLs25vvGS"
            + "3USnnm5WUJRxiCxvEVNCLevvpEjs9TjqzQVuv8GRTjJkDpw8GVSxUABd26eF4_rLMhhPlSmfmBkn"
            + "WPlyAO5ZbsqNEUE_lFLsK9dHrcJaQHZE5rT-hIGGcxfcI3tyPblaDB8-DX28AmMiASx9PYU4kbeg"
            + "jfstgiGJB-d3_TU7k1jGqud9da0bH7j5Fe-44EiAoVq467iigob3KMD9n4NG44-Eqq_W_CHd_Ozu"
            + "xKPzvKQvycAcRxunklfuUs9Jg",
        "ES256": "eyJhbGciOiJFUzI1NiIsImtpZCI6IkVTMjU2IiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczov"
            + "L2lkcCIsImF1ZCI6Im1hcnRsZXQiLCJzdWIiOiJ1MSIsImV4cCI6MjAwMDAwMDAwMCwiaWF0Ijox"
            + "NzAwMDAwMDAwLCJvcmciOnsidGVuYW50IjoiYWNtZSJ9LCJtb2RlbHMiOiJtIG4ifQ._ZFBbqNj6"
            + "k5AEIgK4WJXt6hQhnJypukDAHJ3tAEB9-1Yl1o6o5vSSoh18XpjzSq99h8B7ZNAIbi4R1cnKFZGX"
            + "Q",
        "ES384": "eyJhbGciOiJFUzM4NCIsImtpZCI6IkVTMzg0IiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczov"
            + "L2lkcCIsImF1ZCI6Im1hcnRsZXQiLCJzdWIiOiJ1MSIsImV4cCI6MjAwMDAwMDAwMCwiaWF0Ijox"
            + "NzAwMDAwMDAwLCJvcmciOnsidGVuYW50IjoiYWNtZSJ9LCJtb2RlbHMiOiJtIG4ifQ.hol021mZG"
            + "qxBDWS6doLrFdunl7DQs6aRYwuiNqBDIEOojLKbsZm-jY2o2jWXKomjQYdRcxBp864cvzSSw7_tp"
            + "t7vW8dkF0GkKXfOHoBH0dNJ-o8uBsSslGdVIAjq6Yu0",
        "EdDSA": "eyJhbGciOiJFZERTQSIsImtpZCI6IkVkRFNBIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczov"
            + "L2lkcCIsImF1ZCI6Im1hcnRsZXQiLCJzdWIiOiJ1MSIsImV4cCI6MjAwMDAwMDAwMCwiaWF0Ijox"
            + "NzAwMDAwMDAwLCJvcmciOnsidGVuYW50IjoiYWNtZSJ9LCJtb2RlbHMiOiJtIG4ifQ.korNTU1zU"
            + "jMhEUNkrbZQb0fAJCdunqiIoW0xO020OubdHNQaSjzvBkJOYPRcsdO_SNMuqArnv1cLcVx7fFTlD"
            + "g",
    ]
}
